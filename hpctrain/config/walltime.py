"""Walltimes: only a quoted "HH:MM:SS" is one.

YAML 1.1 reads `2:00:00` as the integer 7200 and `1:30` as 90, and a bare 90 means seconds to PBS
and minutes to Slurm and Cobalt; so a number is refused, whatever it is.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_FORM = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d)")


def parse_walltime(value: Any) -> int:
    """Turn "HH:MM:SS" into seconds.

    Raises:
        ValueError: the value is a number, or a text of another form.
    """
    if isinstance(value, bool | int | float):
        raise ValueError(
            f"found the number {value}, which every scheduler reads in its own unit; "
            'quote it: walltime: "02:00:00"'
        )
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'found {value!r}; allowed: hours, minutes, seconds as "HH:MM:SS"')
    hours, minutes, seconds = (int(part) for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if total < 60:
        raise ValueError(f'found {value!r}; allowed: one minute ("00:01:00") or more')
    return total


def format_walltime(seconds: int) -> str:
    """Seconds as "HH:MM:SS", hours unbounded."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


Walltime = Annotated[
    int,
    BeforeValidator(parse_walltime),
    PlainSerializer(format_walltime, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,4}:[0-5]\d:[0-5]\d$"}),
]
"""Seconds in Python, a quoted "HH:MM:SS" in YAML."""
