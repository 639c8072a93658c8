"""Walltimes and sizes: what the scheduler makes of the digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpctrain.directives.model import Directive
from hpctrain.directives.walltime import UNLIMITED, clock, walltime_s
from hpctrain.lint.script import Finds, Script

_OPTIONS = ("-l walltime", "--time")


def _walltimes(script: Script) -> Iterator[tuple[Directive, str]]:
    for directive in script.options(*_OPTIONS):
        if directive.value:
            yield directive, directive.value


def _seconds(script: Script, text: str) -> int | None:
    assert script.scheduler is not None
    try:
        return walltime_s(text, script.scheduler)
    except ValueError:
        return None


def over_sixty(script: Script) -> Finds:
    """HT030."""
    for directive, text in _walltimes(script):
        seconds = _seconds(script, text)
        parts = [int(part) for part in re.split("[:-]", text)] if seconds is not None else []
        # 0:90:00 can mean one thing only
        if any(part > 59 and any(parts[:i]) for i, part in enumerate(parts)) and ":" in text:
            found = f"{text} is read as {clock(seconds or 0)}, as a part of it is over 59"
            yield directive.line, f"{found}; write {clock(seconds or 0)} if that is meant"


def bare_number(script: Script) -> Finds:
    """HT031."""
    unit = "seconds" if script.scheduler == "pbs" else "minutes"
    for directive, text in _walltimes(script):
        seconds = _seconds(script, text)
        if text.isdigit() and seconds is not None:
            found = f"{text} counts {unit} here, and something else to other schedulers"
            yield directive.line, f"{found}; write {clock(seconds)}"


def days(script: Script) -> Finds:
    """HT032."""
    for directive, text in _walltimes(script):
        if re.fullmatch(r"\d+-\d+(:\d+){0,2}", text):
            hours = clock(walltime_s(text, "slurm"))
            yield directive.line, f"qsub refuses days, as in {text}; write {hours}"


def two_parts(script: Script) -> Finds:
    """HT033."""
    for directive, text in _walltimes(script):
        seconds = _seconds(script, text)
        if re.fullmatch(r"\d+:\d+", text) and seconds is not None:
            found = f"{text} is read as minutes and seconds, {clock(seconds)}"
            yield directive.line, f"{found}; write all of HH:MM:SS"


def unreadable(script: Script) -> Finds:
    """HT034."""
    assert script.scheduler is not None
    for directive, text in _walltimes(script):
        if script.scheduler == "pbs" and re.fullmatch(r"\d+-\d+(:\d+){0,2}", text):
            continue
        if script.scheduler == "slurm" and text.lower() in UNLIMITED:
            continue
        try:
            walltime_s(text, script.scheduler)
        except ValueError as e:
            yield directive.line, f"walltime {text!r} is refused; {e}"


def cobalt_needs(script: Script) -> Finds:
    """HT035."""
    for option, what in (("--nodecount", "-n NODES"), ("--time", "-t MINUTES")):
        if not script.has_directive(option):
            yield 1, f"Cobalt refuses a job without {what}, unless qsub gets it; add #COBALT {what}"


def no_walltime(script: Script) -> Finds:
    """HT036."""
    if script.reading.read and not any(script.options(*_OPTIONS)):
        option = "-l walltime=" if script.scheduler == "pbs" else "--time="
        text = "no walltime is given, so the queue's default counts, or the site refuses the job"
        yield script.reading.read[0].line, f"{text}; add {option}HH:MM:SS"


def octal_nodes(script: Script) -> Finds:
    """HT037."""
    for directive in script.options("--nodecount"):
        value = directive.value or ""
        if re.fullmatch("0[0-7]+", value):
            found = f"-n {value} is {int(value, 8)} nodes, as a leading 0 means octal"
            yield directive.line, f"{found}; write -n {int(value)}"


def dropped_seconds(script: Script) -> Finds:
    """HT038."""
    for directive, text in _walltimes(script):
        if re.fullmatch(r"\d+(:\d+){2,3}", text) and int(text.split(":")[-1]) in range(1, 60):
            yield directive.line, f"Cobalt drops the seconds of {text}; write whole minutes"


def short_warning(script: Script) -> Finds:
    """HT039."""
    for directive in script.options("--signal"):
        match = re.fullmatch(r"(?:R?B?:)?\w+(?:@(\d+))?", directive.value or "")
        if match is None:
            continue
        margin = int(match[1] or 60)
        walltime = script.request.walltime_s
        if margin < 60:
            text = f"the signal comes {margin} s before the end, measured in steps of a minute"
            yield directive.line, f"{text}; give it 120 s or more, and time to save"
        elif walltime is not None and margin >= walltime:
            text = f"the signal comes {margin} s before the end of a job of {walltime} s: at once"
            yield directive.line, f"{text}; give it less"


def zero_walltime(script: Script) -> Finds:
    """HT029."""
    for directive, text in _walltimes(script):
        if _seconds(script, text) == 0:
            means = (
                "the longest the queue allows" if script.scheduler != "pbs" else "no time at all"
            )
            yield directive.line, f"a walltime of {text} means {means}; write the time needed"
