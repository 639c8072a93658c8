"""Chunks of `-l select=...` and of the older `-l nodes=...:ppn=...`."""

from __future__ import annotations

import re
from typing import Any

_FIELDS = {"ncpus": "cpus_per_node", "mpiprocs": "ranks_per_node", "ngpus": "gpus_per_node"}


def read_chunks(value: str, *, is_select: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Fields of a request, and the parts that have none.

    Raises:
        ValueError: it has chunks of several kinds, or no number where one must be.
    """
    chunks = [split_chunk(part) for part in value.split("+")]
    kinds = [parts for _, parts in chunks]
    if any(parts != kinds[0] for parts in kinds):
        raise ValueError(value)
    fields: dict[str, Any] = {"nodes": sum(number for number, _ in chunks)}
    rest = dict(kinds[0])
    ppn = None if is_select else rest.pop("ppn", None)
    if ppn is not None:
        fields["cpus_per_node"] = fields["ranks_per_node"] = _number(ppn)
    for key, name in _FIELDS.items():
        if key in rest:
            fields[name] = _number(rest.pop(key))
    gpus = None if is_select else rest.pop("gpus", None)
    if gpus is not None:
        fields["gpus_per_node"] = _number(gpus)
    return fields, rest


def split_chunk(text: str) -> tuple[int, dict[str, str]]:
    """Number of a chunk and its parts: `2:ncpus=4:host=a` is 2 and two parts."""
    words = text.split(":")
    number = int(words.pop(0)) if words[0].isdigit() else 1
    return number, {key: value for key, _, value in (word.partition("=") for word in words)}


def _number(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError(text)
    return int(text)
