"""A whole script for another scheduler: directives, variables, and a word on everything else."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace

from hpctrain.directives.model import Reading, Request, SchedulerName
from hpctrain.directives.read import read_script
from hpctrain.directives.request import request_of, unread_chunk_parts
from hpctrain.directives.shell import read_code, without_single_quoted
from hpctrain.directives.variables import equal, worked_out
from hpctrain.directives.write import write_directives
from hpctrain.directives.written import PREFIXES, TITLES, Written
from hpctrain.errors import ConfigError

_LEADS = {"pbs": "PBS_", "slurm": "SLURM_", "cobalt": "COBALT_"}
_VARIABLE = re.compile(r"\$\{?((?:PBS|SLURM|COBALT)_\w+)")
_COMMANDS = {
    "pbs": r"qsub|qstat|qdel|qalter|qrls|qhold|qrerun|pbsdsh|pbs_tmrsh",
    "slurm": r"srun|sbatch|scontrol|scancel|squeue|sacct|sinfo|salloc|sbcast",
    "cobalt": r"qsub|qstat|qdel|qalter|qrls|qhold|aprun|cobalt-mpirun",
}


@dataclass(frozen=True)
class Converted:
    """A script for another scheduler."""

    text: str
    notes: tuple[str, ...]
    """A sentence for everything that has no equivalent or wants to be looked at."""


def convert(text: str, source: SchedulerName, target: SchedulerName) -> Converted:
    """Translate a script; what cannot be said stays in it as comments.

    Raises:
        ConfigError: the target refuses what can be made of the script, or is the source.
    """
    if source == target:
        raise ConfigError(f"it is a script for {TITLES[target]} already; allowed: another --to")
    text = text.replace("\r\n", "\n")
    reading = read_script(text, source)
    request = _as_meant(request_of(reading))
    written = write_directives(request, target, source)
    _note_unread(reading, request, written, target)
    body = _body(text, reading, source)
    prelude = _prelude(body, source, target, request, written)
    new_body = _renamed(body, source, target)
    _note_commands(new_body, source, target, written)
    shebang = text.split("\n")[0] if text.startswith("#!") else "#!/bin/bash -l"
    kept = _kept(written, source, target)
    parts = [shebang, *written.lines, *kept, *prelude, *_trimmed(new_body.split("\n"))]
    return Converted("\n".join(parts).rstrip("\n") + "\n", tuple(_notes(written, target)))


def _as_meant(request: Request) -> Request:
    """Without what means nothing elsewhere."""
    return replace(request, extra=tuple(d for d in request.extra if d.option not in _MEANINGLESS))


_MEANINGLESS = {"-z", "--parsable", "--quiet", "--verbose", "--debug"}


def _note_unread(
    reading: Reading, request: Request, written: Written, target: SchedulerName
) -> None:
    for directive in request.extra:
        between = "=" if directive.option.startswith(("--", "-l ", "-W ")) else " "
        value = "" if directive.value is None else between + directive.value
        written.lost.append(f"{directive.option}{value}")
    written.lost += [f"part of a chunk: {part}" for part in unread_chunk_parts(reading.read)]
    for directive in reading.ignored:
        what = directive.raw.strip()
        title = TITLES[reading.scheduler]
        written.lost.append(
            f"line {directive.line}, which {title} did not read ({directive.why_ignored}): {what}"
        )
    for fault in reading.faults:
        written.lost.append(f"line {fault.line}: {fault.word!r}, which is no option")


def _body(text: str, reading: Reading, source: SchedulerName) -> str:
    """The script without its first line and its directives, numbers of lines kept."""
    lines = text.split("\n")
    gone = {d.line for d in reading.directives} | {f.line for f in reading.faults}
    if lines[0].startswith("#!"):
        gone.add(1)
    for number in sorted(gone):
        while source == "pbs" and lines[number - 1].endswith("\\") and number < len(lines):
            number += 1
            gone.add(number)
    mark = PREFIXES[source].strip()
    return "\n".join(
        line for number, line in enumerate(lines, 1) if number not in gone and line.strip() != mark
    )


def _renamed(body: str, source: SchedulerName, target: SchedulerName) -> str:
    def rename(match: re.Match[str]) -> str:
        return equal(match[0], target) or match[0]

    return re.sub(rf"(?<!\w){_LEADS[source]}\w+", rename, body)


def _prelude(
    body: str, source: SchedulerName, target: SchedulerName, request: Request, written: Written
) -> list[str]:
    """Lines that give the body what it finds elsewhere under no name."""
    lines = []
    if request.workdir is not None and target == "pbs":
        lines.append(f"cd {shlex.quote(request.workdir)} || exit 1")
    elif target == "pbs":
        lines.append('cd "$PBS_O_WORKDIR" || exit 1  # PBS starts in the home folder')
    used = _used(body, source)
    for name in used:
        if equal(name, target):
            continue
        line = worked_out(name, target, request)
        if line is None:
            written.notes.append(f"variable {name} has no equal in {TITLES[target]}")
        else:
            lines += [*line.split("\n"), f"export {name}"]
    if source == "pbs" and not re.search(r"^\s*cd\s", body, re.MULTILINE):
        written.notes.append(
            f"PBS starts a script in the home folder, {TITLES[target]} where it was submitted"
        )
    return ["", *lines] if lines else []


def _used(body: str, source: SchedulerName) -> list[str]:
    """Variables of the source that the body reads and does not set itself."""
    code = "\n".join(without_single_quoted(item.text) for item in read_code(body))
    names = [name for name in _VARIABLE.findall(code) if name.startswith(_LEADS[source])]
    own = set(re.findall(r"^\s*(?:export\s+)?(\w+)=", code, re.MULTILINE))
    return [name for name in dict.fromkeys(names) if name not in own]


def _note_commands(
    body: str, source: SchedulerName, target: SchedulerName, written: Written
) -> None:
    for item in read_code(body):
        for name in re.findall(rf"(?<![\w/$.-])({_COMMANDS[source]})(?=\s|$)", item.text):
            if item.is_heredoc or re.fullmatch(_COMMANDS[target], name) and source != "slurm":
                continue
            short = item.text.strip().split("\n")[0]
            written.notes.append(
                f"{name} belongs to {TITLES[source]}; replace it yourself in: {short}"
            )


def _kept(written: Written, source: SchedulerName, target: SchedulerName) -> list[str]:
    """Comments that the target reads as comments: no line begins with its mark."""
    if not written.lost:
        return []
    title = f"# Asked for in {TITLES[source]}, without an equal in {TITLES[target]}:"
    return ["", title, *(f"#   {line}" for line in written.lost)]


def _notes(written: Written, target: SchedulerName) -> list[str]:
    lost = [f"{line}: no equal in {TITLES[target]}, kept as a comment" for line in written.lost]
    return [*lost, *written.notes]


def _trimmed(lines: list[str]) -> list[str]:
    """The body with one blank line in front."""
    while lines and not lines[0].strip():
        lines = lines[1:]
    return ["", *lines] if lines else []
