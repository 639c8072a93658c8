"""Random changes of a sample; every draw belongs to (seed, epoch, sample)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.data import Fields
from hpctrain.data.geometry import each_axis, modes_of
from hpctrain.data.symmetry import Symmetry, symmetries
from hpctrain.errors import DataError
from hpctrain.index.fields.grid import Triple

AUGMENT = 2
"""Key of the random stream of augmentations; the order of samples has its own."""
_SHIFTS = 3
_FIRST_NOISE = _SHIFTS + 1
"""Draws of a sample: three shifts, one symmetry, then two for each normal number."""

Array = NDArray[np.float32]
Vectors = Sequence[Sequence[int]]


class Augmentation:
    """Moves, turns, shifts and scales the training samples of one data set."""

    def __init__(self, fields: Fields, shape: Triple, halo: Triple, seed: int) -> None:
        """Settle what may be drawn.

        Args:
            fields: the `data:` block.
            shape: cells of the low-resolution field.
            halo: cells around each crop.
            seed: of the run.
        """
        self._fields, self._shape, self._seed = fields, shape, seed
        self._starts = [starts_along(axis, fields, shape, halo) for axis in range(3)]
        augment = fields.augment
        is_planar = fields.crop[0] == 1
        self.symmetries = (
            symmetries(list(zip(fields.crop, halo, strict=True)), is_planar=is_planar)
            if augment.octahedral
            else []
        )
        if fields.geometry == "sphere" and (
            augment.octahedral or augment.additive_std or augment.multiplicative_std
        ):
            raise DataError(
                "data.augment: octahedral, additive_std and multiplicative_std are for a box; "
                "leave them out on a sphere"
            )

    def start(self, i: int, epoch: int, anchor: Triple) -> Triple:
        """First coarse cell of sample i, moved at random."""
        augment = self._fields.augment
        if self._fields.geometry == "sphere":
            if not augment.roll_longitude:
                return anchor
            draw = self._draws(i, epoch, 1)[0]
            return anchor[0], anchor[1], (anchor[2] + draw) % self._shape[2]
        if not augment.random_shift:
            return anchor
        draws = self._draws(i, epoch, _SHIFTS)
        if augment.max_shift:
            draws = [d % m for d, m in zip(draws, augment.max_shift, strict=True)]
        a, b, c = (
            starts.start + (first - starts.start + draw) % len(starts)
            for starts, first, draw in zip(self._starts, anchor, draws, strict=True)
        )
        return a, b, c

    def turn(self, i: int, epoch: int, out: Array, vectors: Vectors) -> None:
        """Turn or mirror a sample (C, n0, n1, n2) in place; input and target turn alike."""
        if self.symmetries:
            out[...] = self.symmetry(i, epoch).apply(out, vectors)

    def symmetry(self, i: int, epoch: int) -> Symmetry:
        """The symmetry of sample i in an epoch."""
        draw = self._draws(i, epoch, _SHIFTS + 1)[_SHIFTS]
        return self.symmetries[draw % len(self.symmetries)]

    def vary(self, i: int, epoch: int, outs: Sequence[Array]) -> None:
        """Add to and multiply the channels of a normalised sample, alike in input and target.

        Args:
            i: number of the sample.
            epoch: the epoch.
            outs: (C, n0, n1, n2) each, of one C; changed in place.
        """
        augment = self._fields.augment
        if not augment.additive_std and not augment.multiplicative_std:
            return
        count = len(outs[0])
        normals = self._normals(i, epoch, 2 * count)
        added = (augment.additive_std * normals[:count]).astype(np.float32)
        factors = np.exp(augment.multiplicative_std * normals[count:]).astype(np.float32)
        for out in outs:
            if augment.additive_std:
                out += added[:, None, None, None]
            if augment.multiplicative_std:
                out *= factors[:, None, None, None]

    def _normals(self, i: int, epoch: int, count: int) -> NDArray[np.float64]:
        """Standard normal numbers (Box and Muller 1958) from the sample's own draws."""
        raw = self._draws(i, epoch, _FIRST_NOISE + 2 * count)[_FIRST_NOISE:]
        uniform = (np.array(raw, np.uint64) >> np.uint64(11)).astype(np.float64)
        uniform = (uniform + 0.5) * 2.0**-53
        radius, angle = np.sqrt(-2 * np.log(uniform[:count])), 2 * math.pi * uniform[count:]
        normals: NDArray[np.float64] = radius * np.cos(angle)
        return normals

    def _draws(self, i: int, epoch: int, count: int) -> list[int]:
        """64-bit numbers that belong to (seed, epoch, sample); numpy keeps this stream for ever."""
        entropy = np.random.SeedSequence([self._seed, epoch, i], spawn_key=(AUGMENT,))
        draws: list[int] = np.random.Philox(entropy).random_raw(count).tolist()
        return draws


def starts_along(axis: int, fields: Fields, shape: Triple, halo: Triple | int) -> range:
    """First cells that a crop may have along an axis.

    Raises:
        DataError: a crop that does not fit between the edges it must keep off.
    """
    size, crop = shape[axis], fields.crop[axis]
    if modes_of(fields)[axis] == "periodic":
        return range(size)
    margin = each_axis(halo)[axis] if fields.padding and fields.padding[axis] == "none" else 0
    if size < crop + 2 * margin:
        raise DataError(
            f"data.padding: none along axis {axis} keeps crops {margin} cells off the edges, but "
            f"the low-resolution field has {size} cells and the crop {crop}; give a smaller crop, "
            "or periodic, reflect or repeat"
        )
    return range(margin, size - crop - margin + 1)
