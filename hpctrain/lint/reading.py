"""Lines that look like directives and are not read as the author thinks."""

from __future__ import annotations

import re

from hpctrain.directives.model import Directive
from hpctrain.lint.script import Finds, Script

_NAMES = {"pbs": "#PBS", "slurm": "#SBATCH", "cobalt": "#COBALT"}


def _short(directive: Directive) -> str:
    return repr(directive.raw.strip())


def after_command(script: Script) -> Finds:
    """HT001."""
    for directive in script.reading.ignored:
        why = directive.why_ignored
        if "first command" in why or "is a command" in why:
            yield directive.line, f"{_short(directive)} is not read: {why}; move it above it"


def indented(script: Script) -> Finds:
    """HT002."""
    for directive in script.reading.ignored:
        if "first column" in directive.why_ignored:
            text = f"{_short(directive)} is not read, as it is indented"
            yield directive.line, f"{text}; let the line start with #SBATCH"


def wrong_case(script: Script) -> Finds:
    """HT003."""
    for number, line in enumerate(script.lines, 1):
        match = re.match(r"\s*#(pbs|sbatch|cobalt)(?=\s+-)", line, re.IGNORECASE)
        if match and "#" + match[1] not in _NAMES.values():
            name = "#" + match[1].upper()
            yield number, f"#{match[1]} is a comment, as capitals count; write {name}"


def gap(script: Script) -> Finds:
    """HT004."""
    for directive in script.reading.ignored:
        why = directive.why_ignored
        if re.search(r"is blank|is a comment|is indented|start with #!", why):
            text = f"{_short(directive)} is not read: {why}"
            yield directive.line, f"{text}; put all #COBALT lines right below line 1"


def bare(script: Script) -> Finds:
    """HT005."""
    for number, line in enumerate(script.lines[: script.reading.end], 1):
        if re.fullmatch(r"#COBALT(?:|\t.*|[^ \t].*)", line.rstrip("\r")):
            text = f"{line.strip()!r} has no space behind #COBALT, so Cobalt reads no further"
            yield number, f"{text}; write '#COBALT ' and an option, or take the line out"


def cobalt_quotes(script: Script) -> Finds:
    """HT006."""
    for number, line in enumerate(script.lines[: script.reading.end], 1):
        if line.startswith("#COBALT ") and re.search("[\"']", line):
            text = "Cobalt takes quotes for letters and splits at every blank"
            yield number, f"{text}; take the quotes out, and use values without blanks"


def cobalt_stray(script: Script) -> Finds:
    """HT007."""
    for fault in script.faults("stray"):
        text = f"{fault.word!r} is no option, so no directive behind it is read"
        yield fault.line, f"{text}; take it out (comments go below the directives)"


def comment_between(script: Script) -> Finds:
    """HT008."""
    read = [directive.line for directive in script.reading.read]
    for number, line in enumerate(script.lines[: max(read, default=0)], 1):
        if re.match(r"\s*#(?!!|PBS)", line) and read[0] < number:
            text = "a comment stands between the directives, which some sites' PBS does not read on"
            yield number, f"{text}; move it below the last #PBS line"


def pbs_stray(script: Script) -> Finds:
    """HT009."""
    for fault in script.faults("stray"):
        text = f"qsub refuses {fault.word!r}, which is no option (directive error)"
        yield fault.line, f"{text}; take it out, comments have lines of their own"


def no_shebang(script: Script) -> Finds:
    """HT010."""
    if not script.text.startswith("#!"):
        what = "sbatch refuses the script" if script.scheduler == "slurm" else "no directive counts"
        yield 1, f"line 1 does not start with #!, so {what}; begin with #!/bin/bash -l"


def no_shebang_pbs(script: Script) -> Finds:
    """HT011."""
    if not script.text.startswith("#!"):
        text = "line 1 does not start with #!, so your login shell runs the script"
        yield 1, f"{text}; begin with #!/bin/bash -l"


def crlf(script: Script) -> Finds:
    """HT012."""
    if script.has_crlf:
        text = "lines end in CR LF as on Windows, which schedulers refuse and bash cannot run"
        yield 1, f"{text}; run dos2unix, or sed -i 's/\\r$//' on it"


def not_executable(script: Script) -> Finds:
    """HT013."""
    if script.is_executable is False:
        yield 1, "the file is not executable, and Cobalt runs it as it is; run chmod +x on it"


def slurm_stray(script: Script) -> Finds:
    """HT014."""
    for fault in script.faults("stray"):
        hint = f"--{fault.word}" if re.match(r"[a-z-]+=", fault.word) else "an option with --"
        yield fault.line, f"{fault.word!r} is no option, and sbatch refuses it; write {hint}"


def unknown_option(script: Script) -> Finds:
    """HT015."""
    for fault in script.faults("unknown"):
        hint = f"did you mean {fault.hint}" if fault.hint else "look into the manual page"
        yield fault.line, f"{fault.word!r} is not known as an option here; {hint}"


def empty_value(script: Script) -> Finds:
    """HT016."""
    for fault in script.faults("no value"):
        yield fault.line, f"{fault.word} has no value; write one, or take the option out"
    for directive in script.reading.read:
        if directive.value == "" or _has_empty_part(directive):
            text = f"{directive.option} has an empty value in {_short(directive)}"
            yield directive.line, f"{text}; write one, or take it out (a template left it empty?)"


def _has_empty_part(directive: Directive) -> bool:
    if not directive.option.startswith("-l ") or directive.value is None:
        return False
    return bool(re.search(r"=(?=[:+]|$)", directive.value))


def open_quote(script: Script) -> Finds:
    """HT017."""
    for fault in script.faults("quote"):
        yield fault.line, f"a {fault.word} has no twin in this directive; close the quote"


def unexpanded(script: Script) -> Finds:
    """HT018."""
    for directive in script.reading.read:
        match = re.search(r"\$\{?(\w+)", directive.value or "")
        if match:
            text = f"${match[1]} in {directive.option} is not replaced: no shell reads directives"
            hint = "%u, %j and %x stand for user, job and name in file names"
            yield directive.line, f"{text}; write the value ({hint})"


def two_schedulers(script: Script) -> Finds:
    """HT019."""
    for number, line in enumerate(script.lines[: script.reading.end - 1], 1):
        if re.match(r"#(?:PBS|BSUB)\s+-", line):
            text = "sbatch reads this line, too, as if you had asked Slurm for it"
            yield number, f"{text}; take it out, or keep it behind the first command"
