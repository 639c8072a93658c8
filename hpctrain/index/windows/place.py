"""Where a window lies in its volume, and which windows overlap."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.table import Row

AXES = {"z": "depth", "y": "height", "x": "width"}
"""Columns of a window: its first cell along each axis, and how many cells it has there."""
COLUMNS = (*AXES, *AXES.values())


class Window(NamedTuple):
    """Cells of a volume, (z, y, x)."""

    start: tuple[int, ...]
    size: tuple[int, ...]


def window_of(row: Row) -> Window | None:
    """The window of a row; None in an index without such columns.

    Raises:
        DataError: a cell that is no whole number.
    """
    places = row.columns.places
    if not all(name in places for name in COLUMNS):
        return None
    try:
        numbers = tuple(int(row.cells[places[name]]) for name in COLUMNS)
    except ValueError as e:
        given = {name: row[name] for name in COLUMNS}
        raise DataError(f"{row.id}: {given}: its place is no whole numbers") from e
    return Window(numbers[:3], numbers[3:])


def overlapping(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """Pairs of rows of two splits whose windows have cells in common.

    Windows are laid into boxes as large as the largest, so that only neighbours are compared.

    Args:
        rows: windows of one volume.
    """
    if len({row.split for row in rows}) < 2:
        return
    windows = [window for row in rows if (window := window_of(row)) is not None]
    box = [max(1, *(window.size[axis] for window in windows)) for axis in range(3)]
    boxes: dict[tuple[int, ...], list[tuple[Row, Window]]] = defaultdict(list)
    for row, window in zip(rows, windows, strict=True):
        touched = [
            range(first // cells, (first + size - 1) // cells + 1)
            for first, size, cells in zip(*window, box, strict=True)
        ]
        for place in itertools.product(*touched):
            for other, its in boxes[place]:
                if other.split != row.split and _overlap(window, its):
                    yield other, row
            boxes[place].append((row, window))


def _overlap(a: Window, b: Window) -> bool:
    return all(
        a.start[axis] < b.start[axis] + b.size[axis]
        and b.start[axis] < a.start[axis] + a.size[axis]
        for axis in range(3)
    )
