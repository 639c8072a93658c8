"""Windows that lie over a surface: where they begin, and how much each of their pixels counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import ConfigError

Weights = NDArray[np.float32]

_WIDTH = 1 / 8
"""Deviation of the weights, as a share of what is kept of a window."""
_LEAST = 1e-6
"""Weight of a kept pixel: at the ends of an axis no other window may see it."""


@dataclass(frozen=True)
class AxisWindows:
    """Windows along one axis, of which neighbours share pixels.

    Attributes:
        size: pixels of the surface.
        window: pixels of a window.
        stride: from one window to the next; the last one is flush with the end.
        border: pixels at either side of a window that do not count, but at the ends of the axis,
            which nothing else sees.
    """

    size: int
    window: int
    stride: int
    border: int = 0

    def __post_init__(self) -> None:
        kept = self.window - 2 * self.border
        if kept < 1:
            raise ConfigError(
                f"--border: {self.border} pixels at either side leave nothing of a window of "
                f"{self.window}; choose less than {(self.window + 1) // 2}"
            )
        if not 1 <= self.stride <= kept:
            raise ConfigError(
                f"--stride: found {self.stride}; allowed: 1 to {kept}, what is kept of a window of "
                f"{self.window} pixels without {self.border} at either side"
            )

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First pixel of each window."""
        last = max(0, self.size - self.window)
        found = list(range(0, last, self.stride))
        return (*found, last)

    def kept(self, number: int) -> tuple[int, int]:
        """[first, stop) of the pixels of window `number` that count, within it."""
        first = self.border if number else 0
        is_last = number == len(self.starts) - 1
        return first, min(self.window - (0 if is_last else self.border), self.size)

    def weights(self, number: int) -> Weights:
        """(window,) a Gaussian about the window's centre; 0 where nothing counts."""
        place = np.arange(self.window) - (self.window - 1) / 2
        deviation = _WIDTH * (self.window - 2 * self.border)
        bell = np.exp(-0.5 * np.square(place / deviation)).clip(_LEAST)
        found = np.zeros(self.window, np.float32)
        kept = slice(*self.kept(number))
        found[kept] = bell[kept]
        return found

    def band(self, number: int) -> tuple[int, int]:
        """[first, stop) of the pixels that are done once windows up to `number` are."""
        is_last = number == len(self.starts) - 1
        return self.starts[number], self.size if is_last else self.starts[number + 1]

    def first_over(self, number: int) -> int:
        """The first window that has a pixel of band `number`."""
        top = self.starts[number]
        return next(i for i, start in enumerate(self.starts) if start + self.window > top)

    @cached_property
    def edges(self) -> frozenset[int]:
        """Pixels at which what is kept of some window begins or has ended, but for the ends."""
        found = set()
        for number, start in enumerate(self.starts):
            found |= {start + end for end in self.kept(number)}
        return frozenset(found - {0, self.size})
