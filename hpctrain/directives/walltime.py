"""Walltimes as each scheduler reads them: the same text is another time elsewhere."""

from __future__ import annotations

import re

from hpctrain.directives.model import SchedulerName

_SLURM = re.compile(
    r"(?:(?P<days>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?"
    r"|(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)|(?P<minutes>\d+)(?::(?P<seconds>\d+))?)"
)
_PBS = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+)(?:\.\d*)?")
UNLIMITED = ("unlimited", "infinite", "-1")
"""Slurm's words for no limit."""


def walltime_s(text: str, scheduler: SchedulerName) -> int:
    """Seconds that a scheduler makes of a walltime.

    Raises:
        ValueError: it refuses the text, or the text is Slurm's word for no limit.
    """
    return {"pbs": _pbs, "slurm": _slurm, "cobalt": _cobalt}[scheduler](text)


def _pbs(text: str) -> int:
    match = _PBS.fullmatch(text)
    if match is None:
        raise ValueError("allowed: seconds, MM:SS or HH:MM:SS")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _slurm(text: str) -> int:
    if text.lower() in UNLIMITED:
        raise ValueError("it means no limit")
    match = _SLURM.fullmatch(text)
    if match is None:
        raise ValueError("allowed: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS")
    part = {key: int(value or 0) for key, value in match.groupdict().items()}
    hours = 24 * part["days"] + part["dh"] + part["h"]
    minutes = part["dm"] + part["m"] + part["minutes"]
    return 3600 * hours + 60 * minutes + part["ds"] + part["s"] + part["seconds"]


def _cobalt(text: str) -> int:
    # Cobalt counts in minutes and drops the seconds
    parts = text.split(":")
    if len(parts) > 4 or not all(re.fullmatch(r"\d+", part, re.ASCII) for part in parts):
        raise ValueError("allowed: minutes, HH:MM, HH:MM:SS or DD:HH:MM:SS")
    numbers = [int(part) for part in parts]
    if len(numbers) == 1:
        return 60 * numbers[0]
    if len(numbers) == 2:
        return 3600 * numbers[0] + 60 * numbers[1]
    days, hours, minutes, seconds = [0] * (4 - len(numbers)) + numbers
    if seconds > 59:
        raise ValueError("allowed: seconds up to 59")
    return 86400 * days + 3600 * hours + 60 * minutes


def clock(seconds: int) -> str:
    """Seconds as HH:MM:SS, which PBS, Slurm and Cobalt read alike."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
