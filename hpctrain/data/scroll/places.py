"""Where windows may begin, and how one is drawn with equal chance from all of these places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from hpctrain.data.scroll.random import Draws
from hpctrain.data.scroll.volume import Plane, ScrollVolume
from hpctrain.index.scroll.region import Box, Triple, disjoint

Pixels = Callable[[int, int, int], Plane]
"""Which pixels of a row, between two columns, may be the middle of a window."""


@dataclass(frozen=True)
class Place:
    """A window."""

    volume: int
    """Number of its volume."""
    origin: Triple
    """First cell, (z, y, x)."""


@dataclass(frozen=True)
class _Piece:
    """Places in one box of origins of one volume; boxes have no place in common."""

    volume: int
    box: Box
    rows: NDArray[np.int64] | None
    """How many places are in the rows up to each one; None: all of the box are."""
    pixels: Pixels | None

    @property
    def count(self) -> int:
        depth, height, width = self.box.size
        plane = height * width if self.rows is None else int(self.rows[-1])
        return depth * plane

    def at(self, number: int, middle: tuple[int, int]) -> Triple:
        """First cell of place `number`."""
        depth, height, width = self.box.size
        z0, y0, x0 = self.box.start
        number, z = divmod(number, depth)
        if self.rows is None or self.pixels is None:
            y, x = divmod(number, width)
            return z0 + z, y0 + y, x0 + x
        y = int(np.searchsorted(self.rows, number, side="right"))
        before = int(self.rows[y - 1]) if y else 0
        left = x0 + middle[1]
        own = np.flatnonzero(self.pixels(y0 + y + middle[0], left, left + width))
        return z0 + z, y0 + y, x0 + int(own[number - before])


class Places:
    """All places of one kind over some volumes."""

    def __init__(self, pieces: Sequence[_Piece], window: Triple) -> None:
        self._pieces = [piece for piece in pieces if piece.count]
        self._ends = list(accumulate(piece.count for piece in self._pieces))
        self._middle = window[1] // 2, window[2] // 2

    @property
    def count(self) -> int:
        """How many there are."""
        return self._ends[-1] if self._ends else 0

    def at(self, number: int) -> Place:
        """Place `number` of all."""
        first = int(np.searchsorted(self._ends, number, side="right"))
        before = self._ends[first - 1] if first else 0
        piece = self._pieces[first]
        return Place(piece.volume, piece.at(number - before, self._middle))

    def draw(self, draws: Draws) -> Place:
        """One of them, all with equal chance."""
        return self.at(draws.below(self.count))


def origin_boxes(volume: ScrollVolume, window: Triple, depth_shift: int | None) -> list[Box]:
    """First cells of the windows of a volume, in boxes without a common cell.

    Args:
        volume: with the boxes that windows must lie in.
        window: cells, (z, y, x).
        depth_shift: layers that a window may be off the middle of the layers; None: anywhere.
    """
    boxes = []
    for box in volume.boxes:
        own = box.origins(window)
        if depth_shift is not None:
            middle = box.start[0] + (box.size[0] - window[0]) // 2
            own = own.along(0, middle - depth_shift, middle + depth_shift + 1)
        boxes.append(own)
    return disjoint(boxes)


def find_places(
    volumes: Sequence[ScrollVolume],
    boxes: Sequence[Sequence[Box]],
    window: Triple,
    kind: str = "all",
) -> Places:
    """Places whose middle is papyrus, and of one kind.

    Args:
        volumes: open volumes.
        boxes: first cells of the windows of each; see `origin_boxes`.
        window: cells, (z, y, x).
        kind: all, ink, no_ink or edge; the last three are of volumes with labels.
    """
    pieces = []
    for number, volume in enumerate(volumes):
        pixels = _pixels(volume, kind)
        for box in boxes[number]:
            rows = None if pixels is None else _count(pixels, box, window)
            pieces.append(_Piece(number, box, rows, pixels))
    return Places(pieces, window)


def _pixels(volume: ScrollVolume, kind: str) -> Pixels | None:
    """None: all of them."""
    mask, labels = volume.mask, volume.labels
    if kind == "all":
        return None if mask is None else lambda y, a, b: mask[y, a:b]
    assert labels is not None
    chosen = {"ink": labels, "no_ink": ~labels, "edge": None}[kind]
    if chosen is None:
        chosen = edges(labels)
    if mask is not None:
        chosen = chosen & mask
    return lambda y, a, b: chosen[y, a:b]


def _count(pixels: Pixels, box: Box, window: Triple) -> NDArray[np.int64]:
    _, y, x = (s + w // 2 for s, w in zip(box.start, window, strict=True))
    _, height, width = box.size
    counts = [np.count_nonzero(pixels(y + row, x, x + width)) for row in range(height)]
    return np.cumsum(counts, dtype=np.int64)


def edges(labels: Plane) -> Plane:
    """Pixels of which a neighbour above, below, left or right is of the other kind."""
    found = np.zeros_like(labels)
    down = labels[1:] != labels[:-1]
    across = labels[:, 1:] != labels[:, :-1]
    found[1:] |= down
    found[:-1] |= down
    found[:, 1:] |= across
    found[:, :-1] |= across
    return found
