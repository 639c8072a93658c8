"""A sheet of papyrus with ink, laid flat: what varies along its rows and columns.

Papyrus is two layers of reed strips, crossed and pressed: on the recto, which is written on, the
fibres run along the lines, on the verso across. Lengths are in voxels, density in shares of the
scanner's range. All arrays are (rows, columns), float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from hpctrain.samples import writing

Array = NDArray[np.floating]

THICKNESS = 12.0
DENSITY, FIBRES = 0.45, 0.07
"""Mean of papyrus, and standard deviation of its fibres."""
ROUGHNESS = 1.1
"""Standard deviation of the recto's height above the surface that an unrolling would follow."""
RELIEF = 0.5
"""Thickness of ink."""
CRACKS, CRACKED = 0.14, 3.0
"""Carbon ink cracks as it dries: standard deviation of the density below it, and how deep."""
CONTRAST, SOAKED = 0.075, 6.0
"""Dense ink soaks in: what it adds to the density of the papyrus below it, and how deep."""


@dataclass(frozen=True)
class Sheet:
    """Everything that a point's place on the sheet decides."""

    lines: list[str]
    """What is written on it."""
    is_sheet: NDArray[np.bool_]
    """Where there is papyrus: its edge is ragged."""
    is_ink: NDArray[np.bool_]
    height: Array
    """How far the recto lies inside the sheet's ideal surface."""
    thickness: Array
    recto: Array
    """Density of the written half."""
    verso: Array
    pigment: Array
    """What ink adds to the density of the papyrus below it."""
    depth: float
    """How deep."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height.shape[0], self.height.shape[1]


def make_sheet(shape: tuple[int, int], is_dense: bool, seed: int) -> Sheet:
    """Press, tear and write on a sheet.

    Args:
        shape: rows and columns.
        is_dense: whether the ink holds metal, which X-rays see, or carbon alone.
        seed: of everything on it.

    Returns:
        The sheet.
    """
    rng = np.random.default_rng([seed, 1])
    lines = writing.compose(shape, rng)
    is_sheet = _ragged(rng, shape)
    is_ink = writing.draw(lines, shape) & is_sheet
    cracks = np.exp(-((smooth_noise(rng, shape, (1.6, 1.6)) / 0.4) ** 2))
    # Carbon is as dense as papyrus that was burnt: no contrast on average, where ink is.
    among = cracks[is_ink] if is_ink.any() else cracks
    pattern = CRACKS * (among.mean() - cracks) / among.std()
    return Sheet(
        lines=lines,
        is_sheet=is_sheet,
        is_ink=is_ink,
        height=ROUGHNESS * smooth_noise(rng, shape, (20, 20)),
        thickness=THICKNESS + smooth_noise(rng, shape, (20, 20)),
        recto=DENSITY + FIBRES * smooth_noise(rng, shape, (0.7, 9)),
        verso=DENSITY + FIBRES * smooth_noise(rng, shape, (9, 0.7)),
        pigment=np.full_like(pattern, CONTRAST) if is_dense else pattern,
        depth=SOAKED if is_dense else CRACKED,
    )


def _ragged(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A sheet that has lost its straight edges: within some pixels of them."""
    row, column = np.indices(shape)
    edge = np.minimum(
        np.minimum(row, shape[0] - 1 - row), np.minimum(column, shape[1] - 1 - column)
    )
    lost = writing.MARGIN / 3 * (1 + 0.6 * np.clip(smooth_noise(rng, shape, (12, 12)), -1.5, 1.5))
    inside: NDArray[np.bool_] = edge >= lost
    return inside


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], widths: tuple[float, float]
) -> Array:
    """Gaussian noise of unit variance, smooth over so many pixels along each axis, periodic.

    Args:
        rng: where it comes from.
        shape: rows and columns.
        widths: standard deviation of the smoothing, in pixels.

    Returns:
        (rows, columns), float32.
    """
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), widths, mode="wrap")
    scaled: Array = (noise - noise.mean()) / noise.std()
    return scaled
