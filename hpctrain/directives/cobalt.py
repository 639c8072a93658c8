"""#COBALT lines as Cobalt's qsub reads them.

Line 1 must start with `#!`. Directives are the unbroken lines from line 2 on that start with
exactly `#COBALT ` and hold something more. Words are split at white space: no quotes, no comments.
A word that is no option ends option reading for good (Cobalt src/clients/POSIX/qsub.py).
"""

from __future__ import annotations

import re

from hpctrain.directives.getopt import Options, Table, Word
from hpctrain.directives.model import Directive, Fault, Reading
from hpctrain.directives.shell import heredoc_lines

PREFIX = "#COBALT "

_VALUE = """nodecount proccount project cwd queue notify env time umask outputprefix error output
inputfile debuglog dependencies attrs user_list run_users jobname kernel kerneloptions ion_kernel
ion_kerneloptions mode geometry"""
_FLAG = """debug verbose held preemptable run_project disable_preboot interactive help
version"""

TABLE = Table(
    long={**dict.fromkeys(_VALUE.split(), "value"), **dict.fromkeys(_FLAG.split(), "flag")},
    short={
        **{"n": "nodecount", "A": "project", "q": "queue", "M": "notify", "t": "time"},
        **{"u": "umask", "O": "outputprefix", "e": "error", "o": "output", "i": "inputfile"},
        **{"K": "kerneloptions", "d": "debug", "v": "verbose", "h": "held", "I": "interactive"},
    },
    names={"run_users": "--user_list"},
)


_MODES = ("script", "interactive", "co", "vn")
_INTEGER = r"(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]*|[1-9]\d*)"
_FORMS = {
    "--nodecount": (rf"(?!0[xXbB]?0*$){_INTEGER}", "a number of nodes from 1"),
    "--proccount": (rf"(?!0[xXbB]?0*$){_INTEGER}", "a number of processes from 1"),
    "--env": (r"[^=]+=.*", "NAME=VALUE:NAME=VALUE"),
    "--attrs": (r"[^:=]*(?:=[^:=]*)?(?::[^:=]*(?:=[^:=]*)?)*", "KEY=VALUE:KEY=VALUE"),
    "--mode": ("|".join(_MODES), "--mode script"),
    "--umask": (r"(?:0o?)?[0-7]+", "an octal number"),
}
"""Forms of values that are refused otherwise, and what to write."""


def read_cobalt(text: str) -> Reading:
    """All directives of a script, and where their reading ends."""
    lines = text.split("\n")
    end = 1  # index of the line that ends them
    words: list[Word] = []
    if lines[0].startswith("#!"):
        while end < len(lines) and _is_directive(lines[end]):
            line = lines[end].rstrip("\r")
            words += [(end + 1, line, word) for word in line[len(PREFIX) :].split()]
            end += 1
    else:
        end = 0
    options = Options(TABLE, _joined(words), stops_at_stray=True)
    directives = [*options.directives, *_cut_off(options), *_ignored(lines, end, text)]
    return Reading(
        "cobalt",
        tuple(directives),
        (*options.faults, *_twice(options), *_refused(options)),
        end + 1,
    )


def _is_directive(line: str) -> bool:
    # Cobalt compares the line with its line end, so "#COBALT " alone counts, and ends nothing
    return line.startswith(PREFIX)


def _joined(words: list[Word]) -> list[Word]:
    """Several `--env X` are one for Cobalt, at the place of the first; `--env=X` is left alone."""
    at = [i for i, word in enumerate(words) if word[2] in ("--en", "--env")]
    if len(at) < 2:
        return words
    values = [words[i + 1][2] for i in at if i + 1 < len(words)]
    first = words[at[0]]
    gone = {i for n in at for i in (n, n + 1)} - {at[0], at[0] + 1}
    joined = {at[0]: (*first[:2], "--env"), at[0] + 1: (*first[:2], ":".join(values))}
    return [joined.get(i, word) for i, word in enumerate(words) if i not in gone]


def _twice(options: Options) -> list[Fault]:
    attrs = [d for d in options.directives if d.option == "--attrs"]
    return [Fault(d.line, "twice", "--attrs") for d in attrs[1:]]


def _refused(options: Options) -> list[Fault]:
    """Values that Cobalt checks while it reads them."""
    faults = []
    for directive in options.directives:
        form = _FORMS.get(directive.option)
        if form is not None and not re.fullmatch(form[0], directive.value or "", re.ASCII):
            word = f"{directive.option} {directive.value}"
            faults.append(Fault(directive.line, "value", word, form[1]))
    modes = [d for d in options.directives if d.option == "--mode" and d.value in _MODES[1:]]
    # directives in a script imply the mode script, and no other agrees with it
    faults += [Fault(d.line, "value", f"--mode {d.value}", "--mode script") for d in modes]
    return faults


def _cut_off(options: Options) -> list[Directive]:
    """Lines that are read no more because of a stray word before them."""
    if not options.rest:
        return []
    stray = options.faults[-1]
    why = f"reading ended at {stray.word!r} in line {stray.line}"
    lines = dict((number, line) for number, line, _ in options.rest if number > stray.line)
    return [Directive(n, line, is_read=False, why_ignored=why) for n, line in lines.items()]


def _ignored(lines: list[str], end: int, text: str) -> list[Directive]:
    inside = heredoc_lines(text)
    return [
        Directive(number, line, is_read=False, why_ignored=_why(lines, end))
        for number, line in enumerate(lines, 1)
        if number > end and re.match(r"\s*#COBALT\b", line) and number not in inside
    ]


def _why(lines: list[str], end: int) -> str:
    if end == 0:
        return "line 1 does not start with #!"
    line = lines[end] if end < len(lines) else ""
    if line.startswith("#COBALT"):
        what = "has no space and option behind #COBALT"
    elif not line.strip():
        what = "is blank"
    elif line.lstrip().startswith("#COBALT"):
        what = "is indented"
    elif line.lstrip().startswith("#"):
        what = "is a comment"
    else:
        what = "is a command"
    return f"line {end + 1} {what}, which ends the directives"
