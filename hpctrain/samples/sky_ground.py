"""The ground around a node, the same for both eyes: a skyline and a texture of soil and grass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpctrain.samples.sky_camera import Array, Rays
from hpctrain.samples.sky_clouds import fractal, sample_tile

CAMERA_HEIGHT = 8.0
"""Metres above the ground."""
CELL = 0.15
"""Of the fine texture, metres; the coarse one has cells 16 times as large."""
CELLS = 512
BINS = 4096
"""Of the skyline, over all azimuths."""


class Ground:
    """What surrounds one node."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._texture = fractal(CELLS, 60, 2, rng)
        k = np.fft.rfftfreq(BINS, 1 / BINS)
        hills = rng.standard_normal((len(k), 2)) @ (1, 1j) / (1 + (k / 4) ** 2) ** 0.8
        trees = rng.standard_normal((len(k), 2)) @ (1, 1j) / (1 + (k / 250) ** 2) ** 0.6 * (k > 20)
        height = 1.5 + 0.9 * _unit(np.fft.irfft(hills, BINS))
        height += 0.35 * np.abs(_unit(np.fft.irfft(trees, BINS)))
        self._skyline = np.maximum(height, 0.2).astype(np.float32)

    def mask(self, rays: Rays) -> NDArray[np.bool_]:
        """Which rays end on the ground."""
        turn = np.arctan2(rays.east, rays.north) * np.float32(BINS / (2 * np.pi))
        result: NDArray[np.bool_] = rays.elevation < self._skyline.take(
            turn.astype(np.int32) % BINS
        )
        return result

    def texture(self, rays: Rays) -> Array:
        """Texture of the ground that each ray meets, mean 0, variance about 1; 0 in the sky."""
        down = np.maximum(-rays.up, np.float32(2e-3))
        distance = np.float32(CAMERA_HEIGHT) / down
        x, y = rays.east * distance / np.float32(CELL), rays.north * distance / np.float32(CELL)
        # Far away a pixel covers many cells; what is left is what a larger cell has.
        near = 1 / (1 + np.square(distance / 60))
        middle = 1 / (1 + np.square(distance / 900))
        coarse = sample_tile(self._texture, x / 16 + 100, y / 16)
        far = sample_tile(self._texture, x / 256, y / 256 + 50)
        fine = sample_tile(self._texture, x, y)
        result: Array = 0.6 * near * fine + 0.6 * middle * coarse + np.float32(0.5) * far
        return result


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values / values.std())
