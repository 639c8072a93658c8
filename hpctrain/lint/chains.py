"""Warnings before the end, and jobs that hand themselves in again."""

from __future__ import annotations

import re

from hpctrain.directives.shell import Command
from hpctrain.lint.script import LAUNCHERS, Finds, Script

_PROGRAMS = rf"{LAUNCHERS}|python[\d.]*|torchrun|singularity|apptainer|accelerate|deepspeed"
_NAMES = {"10": "USR1", "12": "USR2", "15": "TERM", "2": "INT", "1": "HUP"}
_REQUEUE = r"\bscontrol\s+requeue(?:hold)?\b"


def _batch_signal(script: Script) -> tuple[int, str] | None:
    """Line and name of the signal that the batch shell is to get."""
    for directive in script.options("--signal"):
        match = re.fullmatch(r"R?B(?:R)?:(\w+)(?:@\d+)?", directive.value or "")
        if match:
            return directive.line, _NAMES.get(match[1], match[1].upper().removeprefix("SIG"))
    return None


def _is_trapped(script: Script, signal: str, *, or_ignored: bool = False) -> bool:
    numbers = {name: number for number, name in _NAMES.items()}
    names = {signal, f"SIG{signal}", numbers.get(signal, signal)}
    for command in script.commands:
        words = re.sub(r"^(?:then|do|else|\{|\()\s*", "", command.text).upper().split()
        is_ignored = words[1:2] in (["''"], ['""'])
        if words[:1] == ["TRAP"] and names & set(words[2:]) and (or_ignored or not is_ignored):
            return True
    return False


def _foreground(script: Script) -> list[Command]:
    """Long-running programs that the shell waits for, in line order."""
    found = [c for c in script.running(_PROGRAMS) if not _is_short(c)]
    if script.has(r"(?:^|[\s;{])wait\b") and any(_end(script, c) == "&" for c in found):
        return []  # the long one is waited for; the others prepare or clean up
    return [c for c in found if _end(script, c) != "&" and not c.text.startswith("exec ")]


def _end(script: Script, command: Command) -> str:
    """What stands behind the pipeline of a command."""
    following = script.commands[script.commands.index(command) :]
    return next((c.end for c in following if c.end not in ("|", "|&")), "")


def _is_short(command: Command) -> bool:
    short = r"\s(?:--version|-V|--help|hostname)(?=\s|$)|\s-c\s"
    return bool(re.search(short, command.text)) and not re.search(LAUNCHERS, command.text)


def trap_never_runs(script: Script) -> Finds:
    """HT080."""
    found = _batch_signal(script)
    if found is None or not _is_trapped(script, found[1]):
        return
    for command in _foreground(script):
        text = "bash runs the trap only when this program has ended, so the warning is never heard"
        yield command.line, f"{text}; start it with & and wait for it in a loop"


def no_trap(script: Script) -> Finds:
    """HT081."""
    found = _batch_signal(script)
    if found is None or _is_trapped(script, found[1], or_ignored=True):
        return
    if script.has(r"(?:^|\s|;)exec\s+[^<>\d]"):
        return
    text = f"the batch shell gets {found[1]} and has no trap for it, so the job ends there"
    yield found[0], f"{text}; write trap '...' {found[1]}, or take B: out to signal the ranks"


def trap_for_ranks(script: Script) -> Finds:
    """HT071."""
    for directive in script.options("--signal"):
        match = re.fullmatch(r"R?:?([A-Za-z]\w*|\d+)(?:@\d+)?", directive.value or "")
        if match is None:
            continue
        signal = match[1].upper().removeprefix("SIG")
        if _is_trapped(script, _NAMES.get(signal, signal)):
            text = f"{match[1]} goes to the ranks alone, so the trap for it here never runs"
            yield directive.line, f"{text}; write --signal=B:{match[1]}@300, or drop the trap"


def trap_cont(script: Script) -> Finds:
    """HT082."""
    for command in script.commands:
        if re.match(r"trap\b.*\s(?:SIG)?CONT\b", command.text, re.DOTALL):
            text = (
                "Slurm sends CONT along with every warning, and a trap for it can lose the warning"
            )
            yield command.line, f"{text}; take CONT out of the trap"


def requeue_at_once(script: Script) -> Finds:
    """HT083."""
    code = "\n".join(item.text for item in script.shell)
    saves = r"(?:^|[\s;{])wait\b|\bkill\s+-(?:s\s+)?(?:SIG)?(?:USR1|USR2|TERM)|\btouch\s|-eq\s+75"
    if re.search(saves, code):
        return
    for line, _ in script.search(_REQUEUE):
        text = "scontrol requeue ends the job at once, and nothing here saves before it"
        yield line, f"{text}; signal the program, wait until it has left, then requeue"


def qsig(script: Script) -> Finds:
    """HT084."""
    for line, match in script.search(r"\bqsig\s+-s\s*(?:SIG)?(USR[12])\b"):
        text = f"{match[1]} hits PBS' login shell, too, which ends the job"
        yield line, f"{text}; let a timer in the script touch a file, or signal the launcher"


def qrerun(script: Script) -> Finds:
    """HT085."""
    for command in script.running("qrerun"):
        text = "users may not qrerun a job, and PBS holds it after 21 runs"
        yield command.line, f"{text}; submit the script again: qsub -W depend=afterany:$PBS_JOBID"


def quoted_dependency(script: Script) -> Finds:
    """HT087."""
    nested = r"depend=\\[\"']|'depend=\"|\"depend='|depend=\"'|depend='\""
    for line, _ in script.search(nested):
        text = "the quotes reach qsub as part of the dependency, which it refuses"
        yield line, f'{text}; write -W "depend=afterok:$id"'


def cut_id(script: Script) -> Finds:
    """HT088."""
    for line, match in script.search(r"\$\{(\w*(?:id|ID|job|JOB)\w*)%%?\.\*\}"):
        if _is_for_dependency(script, match.string, match[1]):
            yield line, _CUT
    for line, match in script.search(
        r"(\w+)=(?:\$\(|`)\s*qsub\b[^\n]*\|\s*(?:cut\s+-d\s*['\"]?\.|sed\b[^\n]*\\\.|awk\s+-F\s*['\"]?\\*\.)"
    ):
        if _is_for_dependency(script, match.string, match[1]):
            yield line, _CUT


_CUT = (
    "the job id is cut at its first dot, and the rest names the server that knows the job; "
    "hand the whole id to depend="
)


def _is_for_dependency(script: Script, line: str, name: str) -> bool:
    return "depend=" in line or script.has(rf"depend=\w+:[^\n]*\$\{{?{name}\b")


def quotes_in_directive(script: Script) -> Finds:
    """HT089."""
    for directive in script.options("-W depend"):
        if re.search(r"depend=[\"']|[\"']depend=", directive.raw):
            text = "quotes round a dependency are lost here, and refused on a command line"
            yield directive.line, f"{text}; write -W depend=afterok:ID"
