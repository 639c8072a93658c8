"""Random draws of scroll data, each a function of the run's seed and of what it is for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WINDOW, POOL, AUGMENT, SCALES, GRID = 41, 42, 43, 44, 45
"""Keys of the random streams: places, order of a pool, changes, what is measured, validation."""


def stream(key: int, *entropy: int) -> np.random.Philox:
    """Raw numbers of (key, entropy); numpy keeps this stream for ever."""
    return np.random.Philox(np.random.SeedSequence(list(entropy), spawn_key=(key,)))


class Draws:
    """Numbers out of a raw stream, one after the other."""

    def __init__(self, key: int, *entropy: int) -> None:
        self._bits = stream(key, *entropy)

    def below(self, count: int) -> int:
        """A whole number from 0 to count - 1."""
        return int(self._bits.random_raw()) * count >> 64

    def share(self) -> float:
        """A number in [0, 1)."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def normal(self) -> float:
        """A standard normal number (Box and Muller 1958)."""
        radius = math.sqrt(-2 * math.log(1.0 - self.share()))
        return radius * math.cos(2 * math.pi * self.share())

    def normals(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal numbers; equal for one version of numpy."""
        found: NDArray[np.float32] = np.random.Generator(self._bits).standard_normal(
            tuple(shape), np.float32
        )
        return found


def permutation(count: int, *entropy: int) -> NDArray[np.intp]:
    """An order of `count` things, by sorting raw numbers."""
    return np.argsort(stream(POOL, *entropy).random_raw(count), kind="stable")
