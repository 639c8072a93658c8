"""Boxes of cells, (z, y, x): which windows may be trained on where others are held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Triple = tuple[int, int, int]
AXES = ("z", "y", "x")


@dataclass(frozen=True)
class Box:
    """Cells from `start` up to `stop` along z, y, x."""

    start: Triple
    stop: Triple

    @property
    def size(self) -> Triple:
        """Cells along each axis; not below 0."""
        a, b, c = (max(0, e - s) for s, e in zip(self.start, self.stop, strict=True))
        return a, b, c

    @property
    def count(self) -> int:
        """Cells in all."""
        return math.prod(self.size)

    def holds(self, window: Triple) -> bool:
        """Whether a window fits."""
        return all(n >= w for n, w in zip(self.size, window, strict=True))

    def along(self, axis: int, start: int, stop: int) -> Box:
        """The part between two cells along an axis; may be empty."""
        low, high = list(self.start), list(self.stop)
        low[axis], high[axis] = max(low[axis], start), min(high[axis], stop)
        return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))

    def meet(self, other: Box) -> Box:
        """What both have; may be empty."""
        found = self
        for axis in range(3):
            found = found.along(axis, other.start[axis], other.stop[axis])
        return found

    def origins(self, window: Triple) -> Box:
        """First cells of the windows that lie within the box."""
        a, b, c = (e - w + 1 for e, w in zip(self.stop, window, strict=True))
        return Box(self.start, (a, b, c))


def around(used: Box, held: Box) -> list[Box]:
    """The largest boxes of `used` that have no cell of `held`.

    A window that touches no cell of `held` lies within one of them: two boxes that do not overlap
    are apart along some axis.
    """
    held = used.meet(held)
    if not held.count:
        return [used]
    found = []
    for axis in range(3):
        for part in (
            used.along(axis, used.start[axis], held.start[axis]),
            used.along(axis, held.stop[axis], used.stop[axis]),
        ):
            if part.count:
                found.append(part)
    return found


def disjoint(boxes: Sequence[Box]) -> list[Box]:
    """Boxes without a common cell that have the same cells together, in a fixed order."""
    found: list[Box] = []
    for box in boxes:
        rest = [box] if box.count else []
        for known in found:
            rest = [piece for part in rest for piece in _without(part, known)]
        found += rest
    return found


def _without(box: Box, other: Box) -> list[Box]:
    """What a box has that another has not, in up to six pieces without a common cell."""
    if not box.meet(other).count:
        return [box]
    pieces = []
    for axis in range(3):
        low, high = other.start[axis], other.stop[axis]
        pieces += [
            box.along(axis, box.start[axis], low),
            box.along(axis, high, box.stop[axis]),
        ]
        box = box.along(axis, low, high)
    return [piece for piece in pieces if piece.count]
