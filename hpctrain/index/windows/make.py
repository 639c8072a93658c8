"""Rows for the windows of volumes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hpctrain.errors import DataError
from hpctrain.index.table import Columns, Index, Row, tool_facts
from hpctrain.index.windows.place import AXES, COLUMNS
from hpctrain.index.windows.shape import volume_shape

FACT = "windows"
"""What the page of an index of windows says of how they were made."""
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Made:
    """Windows, and what is in none of them."""

    index: Index
    left_out: list[str]
    """A line for each volume of which cells are in no window."""
    num_volumes: int


def make_windows(index: Index, of: str | None, size: Triple, step: Triple) -> Made:
    """A row for each window of each usable sample.

    Windows start at whole steps from the first cell; those that would cross the end of the volume
    are left out. A row has the files of its volume with their digests, which are not computed
    again, and the split of its volume.

    Args:
        index: volumes.
        of: modality that has their cells; None: the first.
        size: cells of a window, (z, y, x).
        step: from one window to the next.

    Raises:
        DataError: an index of windows, an unknown modality, files that are not as they were
            indexed, or no window at all.
    """
    modality = of or index.columns.modalities[0]
    _check(index, modality)
    free = [name for name in index.columns.free if name not in COLUMNS]
    columns = Columns(index.columns.modalities, (*COLUMNS, *free))
    rows: list[Row] = []
    left_out: list[str] = []
    usable = [row for row in index.rows if row.status == "ok"]
    for row in usable:
        shape = volume_shape(index, row, modality)
        starts = [
            range(0, cells - length + 1, pace)
            for cells, length, pace in zip(shape, size, step, strict=True)
        ]
        rows += _rows(row, columns, starts, size)
        if rest := _rest(shape, starts, size):
            left_out.append(f"{row.id}: {'x'.join(map(str, shape))} cells; {rest}")
    if not rows:
        why = left_out[0] if left_out else "the index has no usable sample"
        raise DataError(f"no window of {'x'.join(map(str, size))} cells fits: {why}")
    page: dict[str, Any] = {"of": modality, "size": list(size), "step": list(step)}
    facts = {"rule": _rule(index), FACT: {**page, "index": index.digest}, **tool_facts()}
    return Made(Index(index.root, rows, facts, columns), left_out, len(usable))


def _check(index: Index, modality: str) -> None:
    if FACT in index.facts or set(COLUMNS) <= set(index.columns.names):
        raise DataError("is an index of windows already; give that of the volumes")
    if modality not in index.columns.modalities:
        names = ", ".join(index.columns.modalities)
        raise DataError(f"--of: found {modality!r}; choose from {names}")


def _rows(row: Row, columns: Columns, starts: list[range], size: Triple) -> Iterator[Row]:
    cells = dict(zip(row.columns.names, row.cells, strict=True))
    own = {name: cells.get(name, "") for name in columns.names}
    own |= dict(zip(AXES.values(), map(str, size), strict=True))
    widths = [len(str(max(along, default=0))) for along in starts]
    for place in itertools.product(*starts):
        texts = [f"{n}{v:0{w}}" for n, v, w in zip(AXES, place, widths, strict=True)]
        first = dict(zip(AXES, map(str, place), strict=True))
        yield Row.make(columns, **{**own, **first, "id": f"{row.id}/{'_'.join(texts)}"})


def _rest(shape: Triple, starts: list[range], size: Triple) -> str:
    """Cells at the end of each axis that are in no window."""
    parts = []
    for name, cells, along, length in zip(AXES, shape, starts, size, strict=True):
        if not along:
            return f"smaller than a window along {name}"
        if rest := cells - (along[-1] + length):
            parts.append(f"{rest} of {cells} along {name}")
    return f"in no window are the last {', '.join(parts)}" if parts else ""


def _rule(index: Index) -> dict[str, Any]:
    """What other commands need of the rule; no files, so that nothing is built by it."""
    rule = index.facts.get("rule")
    rule = rule if isinstance(rule, dict) else {}
    found = {"duplicates": rule["duplicates"]} if "duplicates" in rule else {}
    modalities = rule.get("modalities")
    modalities = modalities if isinstance(modalities, dict) else {}
    members = {
        name: {"members": part["members"]} for name, part in modalities.items() if "members" in part
    }
    return {**found, "modalities": members}
