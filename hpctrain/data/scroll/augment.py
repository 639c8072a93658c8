"""Random changes of a window; what moves cells moves those of volume, label and mask alike."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.scroll_data import ScrollAugment
from hpctrain.data.scroll.random import AUGMENT, Draws


class Turn(NamedTuple):
    """A symmetry of a window: turned by right angles in the plane, then mirrored."""

    quarters: int = 0
    flips: tuple[int, ...] = ()
    """Of the last three axes: -3 is z, -2 is y, -1 is x."""

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """A view of an array whose last axes are (y, x) or (z, y, x)."""
        turned = np.rot90(values, self.quarters, axes=(-2, -1)) if self.quarters else values
        axes = tuple(axis for axis in self.flips if -axis <= values.ndim)
        return np.flip(turned, axes) if axes else turned


class ScrollAugmentation:
    """Changes the training windows of one data set."""

    def __init__(self, augment: ScrollAugment, seed: int) -> None:
        self._augment, self._seed = augment, seed

    def turn(self, i: int, epoch: int, plane: tuple[int, int]) -> Turn:
        """The symmetry of sample i in an epoch, for a window of so many rows and columns."""
        augment, draws = self._augment, Draws(AUGMENT, self._seed, epoch, i, 0)
        quarters, *bits = (draws.below(n) for n in (4, 2, 2, 2))
        if not augment.rotate:
            quarters = 0
        elif plane[0] != plane[1]:
            quarters = 2 * (quarters // 2)
        allowed = (augment.flip, augment.flip, augment.flip_depth)
        flips = [a for a, b, ok in zip((-1, -2, -3), bits, allowed, strict=True) if b and ok]
        return Turn(quarters, tuple(flips))

    def change(
        self, i: int, epoch: int, volume: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> None:
        """Change grey values, and blank parts, of sample i in place.

        Args:
            i: number of the sample.
            epoch: the epoch.
            volume: (z, y, x), normalised.
            mask: (y, x), where labels count; false where a rectangle is blanked.
        """
        augment, draws = self._augment, Draws(AUGMENT, self._seed, epoch, i, 1)
        gain, shift = draws.normal(), draws.normal()
        if augment.multiplicative_std:
            volume *= np.float32(math.exp(augment.multiplicative_std * gain))
        if augment.additive_std:
            volume += np.float32(augment.additive_std * shift)
        if augment.noise_std:
            own = Draws(AUGMENT, self._seed, epoch, i, 2)
            volume += np.float32(augment.noise_std) * own.normals(volume.shape)
        if augment.cutout or augment.blank_layers:
            blank = volume.mean(dtype=np.float64).astype(np.float32)
            self._cut(draws, volume, mask, blank)
            for layer in self._layers(draws, len(volume)):
                volume[layer] = blank

    def _cut(
        self,
        draws: Draws,
        volume: NDArray[np.float32],
        mask: NDArray[np.bool_],
        blank: np.float32,
    ) -> None:
        cutout = self._augment.cutout
        if cutout is None or draws.share() >= self._augment.cutout_probability:
            return
        sizes = [1 + draws.below(min(most, n)) for most, n in zip(cutout, mask.shape, strict=True)]
        y, x = (draws.below(n - size + 1) for n, size in zip(mask.shape, sizes, strict=True))
        part = slice(y, y + sizes[0]), slice(x, x + sizes[1])
        volume[(slice(None), *part)] = blank
        mask[part] = False

    def _layers(self, draws: Draws, depth: int) -> set[int]:
        count = draws.below(self._augment.blank_layers + 1)
        return {draws.below(depth) for _ in range(count)}
