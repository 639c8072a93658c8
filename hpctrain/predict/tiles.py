"""How a field is cut into tiles, and with which weights they are put together again.

Tile i of an axis begins at input cell i * stride and gives `stride + overlap` cells; a tile may
reach over the end, onto the start of a periodic axis or into nothing. Weights are multiples of
1/256 whose sum over all tiles is 1 in each cell: so products along three axes are multiples of
2^-24, and their sums are exact in float32 as well. Without overlap each cell has one tile.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Triple = tuple[int, int, int]
Span = tuple[int, int]
"""Cells [start, stop)."""

_LEVELS = 256


@dataclass(frozen=True)
class Piece:
    """Cells of a tile that go into a field, along one axis, in output cells."""

    tile: slice
    """Of the tile's cells."""
    start: int
    """Where they begin in the field."""
    weights: NDArray[np.float32]
    """Of each of these cells."""

    @property
    def stop(self) -> int:
        """Where they end in the field."""
        return self.start + len(self.weights)

    def within(self, span: Span) -> Piece | None:
        """The part that lies in a span of the field."""
        low, high = max(self.start, span[0]), min(self.stop, span[1])
        if low >= high:
            return None
        skip, length = low - self.start, high - low
        first = self.tile.start + skip
        own = self.weights[skip : skip + length]
        return Piece(slice(first, first + length), low, own)


@dataclass(frozen=True)
class AxisTiles:
    """Tiles along one axis."""

    size: int
    """Input cells of the field."""
    stride: int
    """Input cells from one tile to the next."""
    overlap: int = 0
    """Input cells that a tile shares with the next one."""
    factor: int = 1
    """Output cells an input cell."""
    is_periodic: bool = False

    @property
    def tile(self) -> int:
        """Input cells of a tile, without its halo."""
        return self.stride + self.overlap

    @property
    def count(self) -> int:
        """Number of tiles."""
        return math.ceil(self.size / self.stride)

    def span(self, first: int, stop: int) -> Span:
        """Output cells of blocks `first` to `stop`; block i begins where tile i does."""
        end = min(stop * self.stride, self.size)
        return first * self.stride * self.factor, end * self.factor

    def pieces(self, i: int) -> tuple[Piece, ...]:
        """Where the cells of tile i go; two pieces or more where it reaches over the end."""
        return self._pieces[i]

    @cached_property
    def _pieces(self) -> tuple[tuple[Piece, ...], ...]:
        total = self.size * self.factor
        raw = self._raw()
        sums = np.zeros(total)
        largest = np.zeros(total)
        first = np.full(total, -1)  # the tile that takes what rounding leaves
        for i, values in enumerate(raw):
            for part, at in self._parts(i, values):
                own = values[part]
                np.add.at(sums, np.arange(at, at + len(own)), own)
                better = own > largest[at : at + len(own)]
                largest[at : at + len(own)][better] = own[better]
                first[at : at + len(own)][better] = (
                    i * raw.shape[1] + np.arange(raw.shape[1])[part][better]
                )
        shares = np.zeros(raw.shape, np.int64)
        left = np.full(total, _LEVELS)
        for i, values in enumerate(raw):
            for part, at in self._parts(i, values):
                own = np.floor(_LEVELS * values[part] / sums[at : at + len(values[part])])
                shares[i, part] = own
                left[at : at + len(own)] -= own.astype(np.int64)
        shares.reshape(-1)[first] += left
        return tuple(
            tuple(
                Piece(part, at, (shares[i, part] / _LEVELS).astype(np.float32))
                for part, at in self._parts(i, shares[i])
            )
            for i in range(self.count)
        )

    def _raw(self) -> NDArray[np.float64]:
        """Weights (tiles, cells of a tile) before their sum is made 1: falling towards the ends."""
        length, ramp = self.tile * self.factor, self.overlap * self.factor
        raw = np.ones((self.count, length))
        if not ramp:
            raw[:, self.stride * self.factor :] = 0
            raw[-1, (self.size - (self.count - 1) * self.stride) * self.factor :] = 0
            return raw
        ends = np.minimum((2 * np.arange(ramp) + 1) / (2 * ramp), 1)
        for i in range(self.count):
            if self.is_periodic or i > 0:
                raw[i, :ramp] *= ends
            raw[i, -ramp:] *= ends[::-1]
        return raw

    def _parts(self, i: int, values: NDArray[np.generic]) -> Iterator[tuple[slice, int]]:
        """Cells of tile i from the first to the last of any weight, cut where the field ends."""
        total, begin = self.size * self.factor, i * self.stride * self.factor
        used = np.flatnonzero(values)
        if not len(used):
            return
        low, high = int(used[0]), int(used[-1]) + 1
        if not self.is_periodic:
            high = min(high, total - begin)
        while low < high:
            at = (begin + low) % total
            stop = min(high, low + total - at)
            yield slice(low, stop), at
            low = stop


@dataclass(frozen=True)
class Block:
    """A box of the output that one rank computes and writes."""

    spans: tuple[Span, Span, Span]
    """Output cells along each axis."""

    @property
    def shape(self) -> Triple:
        """Cells along each axis."""
        a, b, c = (stop - start for start, stop in self.spans)
        return a, b, c


Place = tuple[Piece, Piece, Piece]


@dataclass(frozen=True)
class Plan:
    """Tiles of a field along its three axes."""

    axes: tuple[AxisTiles, AxisTiles, AxisTiles]

    @property
    def shape(self) -> Triple:
        """Output cells."""
        a, b, c = (axis.size * axis.factor for axis in self.axes)
        return a, b, c

    @property
    def tile(self) -> Triple:
        """Input cells of a tile, without its halo."""
        a, b, c = (axis.tile for axis in self.axes)
        return a, b, c

    @property
    def is_blended(self) -> bool:
        """Whether tiles overlap."""
        return any(axis.overlap for axis in self.axes)

    @property
    def num_tiles(self) -> int:
        """Of the whole field."""
        return math.prod(axis.count for axis in self.axes)

    def start(self, tile: Triple) -> Triple:
        """First input cell of a tile, given by its numbers along the axes."""
        a, b, c = (i * axis.stride for i, axis in zip(tile, self.axes, strict=True))
        return a, b, c

    def blocks(self, largest: int, at_least: int = 1) -> list[Block]:
        """Boxes that do not overlap and together are the whole.

        What a block needs of tiles that reach over its edge is computed once more for the block
        next to it; so blocks are large where tiles overlap, and single tiles where they do not.
        The numbers in the field do not depend on how it is cut into blocks.

        Args:
            largest: output cells of a block, if it has more than one tile.
            at_least: so many blocks, if there are as many tiles.
        """
        groups = [1, 1, 1]
        if self.is_blended:
            groups = [axis.count for axis in self.axes]
            while max(groups) > 1 and (
                self._cells(groups) > largest or self._count(groups) < at_least
            ):
                axis = groups.index(max(groups))
                groups[axis] = math.ceil(groups[axis] / 2)
        ranges = [
            [axis.span(first, first + group) for first in range(0, axis.count, group)]
            for axis, group in zip(self.axes, groups, strict=True)
        ]
        return [Block((a, b, c)) for a, b, c in itertools.product(*ranges)]

    def tiles_of(self, block: Block) -> list[tuple[Triple, list[Place]]]:
        """Tiles that a block needs, in a fixed order, and where their cells go."""
        along = [
            [(i, found) for i in range(axis.count) if (found := _inside(axis.pieces(i), span))]
            for axis, span in zip(self.axes, block.spans, strict=True)
        ]
        return [
            ((a[0], b[0], c[0]), list(itertools.product(a[1], b[1], c[1])))
            for a, b, c in itertools.product(*along)
        ]

    def _cells(self, groups: Sequence[int]) -> int:
        return math.prod(
            min(group * axis.stride, axis.size) * axis.factor
            for group, axis in zip(groups, self.axes, strict=True)
        )

    def _count(self, groups: Sequence[int]) -> int:
        pairs = zip(groups, self.axes, strict=True)
        return math.prod(math.ceil(axis.count / group) for group, axis in pairs)


def _inside(pieces: Sequence[Piece], span: Span) -> list[Piece]:
    return [part for piece in pieces if (part := piece.within(span)) is not None]


def add_tile(
    whole: NDArray[np.float32], block: Block, tile: NDArray[np.float32], places: Sequence[Place]
) -> None:
    """Add a tile to its block, weighted.

    Args:
        whole: (C, n0, n1, n2) of the block; zeros at the start.
        block: where it lies.
        tile: (C, t0, t1, t2).
        places: as `Plan.tiles_of` gives them.
    """
    for place in places:
        spans = zip(place, block.spans, strict=True)
        to = tuple(slice(p.start - s[0], p.stop - s[0]) for p, s in spans)
        values = tile[(slice(None), *(piece.tile for piece in place))]
        if any((piece.weights != 1).any() for piece in place):
            a, b, c = (piece.weights for piece in place)
            values = values * (a[:, None, None] * b[:, None] * c)
        whole[(slice(None), *to)] += values
