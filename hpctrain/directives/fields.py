"""From values of options to fields of a request: what the schedulers share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from hpctrain.directives.model import Dependency
from hpctrain.directives.walltime import walltime_s

Fields = dict[str, Any]
Reader = Callable[[str], Fields]
"""From an option's value to fields of a request; ValueError: it cannot be said neutrally."""

_BYTES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def number(text: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"\d+", text):
        raise ValueError(text)
    return int(text)


def memory_mb(text: str, bare: str) -> int:
    """Megabytes of a size such as 64gb or 64G; a bare number counts in the unit `bare`."""
    match = re.fullmatch(r"([1-9]\d*)([kmgt]?)b?", text.lower())
    if match is None:
        raise ValueError(text)
    return int(-(-int(match[1]) * _BYTES[match[2] or bare] // 2**20))


def as_is(name: str) -> Reader:
    """The value under a name; an empty one says nothing."""

    def read(value: str) -> Fields:
        if not value:
            raise ValueError(name)
        return {name: value}

    return read


def count(name: str) -> Reader:
    """A whole number under a name."""
    return lambda value: {name: number(value)}


def settled(**fields: object) -> Reader:
    """The same fields for any value."""
    return lambda value: dict(fields)


def refuse_unless(is_neutral: bool) -> Fields:
    """No field, for a value that means what is so anyway."""
    if not is_neutral:
        raise ValueError
    return {}


def time(scheduler: Any) -> Reader:
    """The walltime as a scheduler reads it."""
    return lambda value: {"walltime_s": walltime_s(value, scheduler)}


def split(name: str, separator: str) -> Reader:
    """The parts of a value under a name."""
    return lambda value: {name: tuple(value.split(separator))}


def depend(text: str) -> Fields:
    """Dependencies as PBS and Slurm write them."""
    found = []
    for part in filter(None, text.split(",")):
        kind, *jobs = part.split(":")
        found.append(Dependency(kind, tuple(jobs)))
    return {"dependencies": tuple(found)}


def variables(parts: Iterable[str]) -> tuple[tuple[str, str | None], ...]:
    """Names and values, without the quotes that keep a value's commas together."""
    pairs = (part.partition("=") for part in parts if part)
    return tuple((name, _unquoted(value) if equals else None) for name, equals, value in pairs)


def _unquoted(value: str) -> str:
    return value[1:-1] if re.fullmatch(r"'[^']*'|\"[^\"]*\"", value) else value
