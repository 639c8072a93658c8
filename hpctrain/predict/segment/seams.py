"""Whether one sees where windows meet: jumps across their edges against jumps beside them."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Lines = NDArray[np.int64]


_BESIDE = 4
"""Pixels from an edge up to which jumps are compared with those across it: letters alike."""


@dataclass
class Seams:
    """Mean difference of neighbouring pixels, across edges of windows and right beside them.

    Attributes:
        down: rows at which an edge lies between them and those above.
        across: columns at which one lies between them and those to the left.
    """

    down: AbstractSet[int]
    across: AbstractSet[int]
    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((_BESIDE + 1, 2)))
    """Sum and number of the differences, by the distance from the nearest edge."""
    _above: NDArray[np.float32] | None = None

    def add(self, top: int, rows: NDArray[np.float32]) -> None:
        """Take the next rows (n, columns), of which the first is row `top`; NaN: no papyrus."""
        for distance, own in enumerate(_lines(self.across, 1, rows.shape[1])):
            self._count(distance, np.abs(rows[:, own] - rows[:, own - 1]))
        first = top + (self._above is None)
        before = rows if self._above is None else np.vstack((self._above[None], rows))
        for distance, own in enumerate(_lines(self.down, first, top + len(rows))):
            at = own - first + 1
            self._count(distance, np.abs(before[at] - before[at - 1]))
        self._above = rows[-1].copy()

    def _count(self, distance: int, jumps: NDArray[np.float32]) -> None:
        known = jumps[np.isfinite(jumps)]
        self._sums[distance] += known.sum(dtype=np.float64), known.size

    @property
    def beside(self) -> float:
        """Mean difference inside of windows, right beside edges; NaN: there is none."""
        return _mean(self._sums[1:].sum(0))

    @property
    def at_edges(self) -> float:
        """Mean difference across edges; NaN: there is none."""
        return _mean(self._sums[0])

    @property
    def by_distance(self) -> list[float]:
        """Mean difference across edges, then one pixel beside them, and so on; NaN: there is none.

        Nothing is seen of seams where the first is as large as the others.
        """
        return [_mean(own) for own in self._sums]

    @property
    def ratio(self) -> float | None:
        """At edges over beside; 1: no seam. None: one of them is not there."""
        if not math.isfinite(self.at_edges) or not self.beside > 0:
            return None
        return self.at_edges / self.beside


def _mean(own: NDArray[np.float64]) -> float:
    total, count = own
    return float(total / count) if count else math.nan


def _lines(edges: AbstractSet[int], first: int, stop: int) -> list[Lines]:
    """Lines of [first, stop) that are an edge, those one beside the nearest, and so on."""
    found: list[Lines] = []
    nearer: set[int] = set()
    for distance in range(_BESIDE + 1):
        own = {edge + step for edge in edges for step in (-distance, distance)} - nearer
        nearer |= own
        found.append(np.array(sorted(n for n in own if first <= n < stop), np.int64))
    return found
