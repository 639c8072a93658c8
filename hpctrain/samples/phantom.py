"""A tomogram of a rolled sheet, slice by slice, and the sheet sampled out of it again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates

from hpctrain.samples.papyrus import RELIEF, Array, Sheet
from hpctrain.samples.spiral import Spiral, Unroller

BLUR = 0.7
"""Standard deviation of the point spread, in voxels."""
NOISE, RINGS = 0.06, 0.01
"""Standard deviation of noise, and of rings around the scanner's axis, in shares of the range."""
OFFSET, SCALE = 6000.0, 50000.0
"""Grey value of air, and what papyrus of density 1 would add."""
LAYERS, SURFACE = 65, 32
"""Layers of a surface volume, and which one follows the surface; later ones lie above it."""
SLAB = 32
"""Slices that are worked on at a time."""
_REACH = 3
"""Slices that the point spread takes in."""


class Scanner:
    """Makes slices of a sheet that was rolled up; the same whatever the order."""

    def __init__(self, sheet: Sheet, spiral: Spiral, seed: int) -> None:
        self.sheet, self.spiral, self.seed = sheet, spiral, seed
        self._unroller = Unroller(spiral)
        self._rings = self._make_rings()

    def _make_rings(self) -> Array:
        """What detectors that differ add around the middle of each slice."""
        ny, nx = self.spiral.shape
        y, x = np.arange(ny) - (ny - 1) / 2, np.arange(nx) - (nx - 1) / 2
        radius = np.rint(np.hypot(y[:, None], x)).astype(int)
        detectors = np.random.default_rng([self.seed, 3]).normal(0, RINGS, radius.max() + 1)
        rings: Array = detectors.astype(np.float32)[radius]
        return rings

    def density(self, row: int) -> Array:
        """One slice as it is, (y, x), in shares of the scanner's range."""
        ny, nx = self.spiral.shape
        places, column, depth = self._unroller.sheet_at(row)
        sheet = self.sheet
        inked = sheet.is_ink[row][column]
        # Ink lies on the recto and changes the fibres below it.
        below = depth - sheet.height[row][column] + np.float32(RELIEF) * inked
        thickness = sheet.thickness[row][column] + np.float32(RELIEF) * inked
        material = np.where(
            below < thickness / 2, sheet.recto[row][column], sheet.verso[row][column]
        )
        is_pigment = np.clip(np.float32(sheet.depth + 0.5) - below, 0, 1) * inked
        material += is_pigment * sheet.pigment[row][column]
        # The share of each voxel that the sheet fills.
        filled = np.clip(below + 0.5, 0, 1) * np.clip(thickness - below + 0.5, 0, 1)
        slice_ = np.zeros(ny * nx, np.float32)
        slice_[places] = material * filled * sheet.is_sheet[row][column]
        return slice_.reshape(ny, nx)

    def slab(self, start: int) -> NDArray[np.uint16]:
        """Slices from a multiple of SLAB, as the scanner sees them, (z, y, x)."""
        rows = range(max(start - _REACH, 0), min(start + SLAB + _REACH, self.spiral.rows))
        slices = np.stack([self.density(row) for row in rows])
        for axis in range(3):
            slices = gaussian_filter1d(slices, BLUR, axis, mode="nearest", truncate=4)
        slices = slices[start - rows.start : start - rows.start + SLAB]
        rng = np.random.default_rng([self.seed, 4, start])
        slices += NOISE * rng.standard_normal(slices.shape, dtype=np.float32)
        slices += self._rings
        grey: NDArray[np.uint16] = np.clip(np.rint(OFFSET + SCALE * slices), 0, 65535).astype("u2")
        return grey

    def slabs(self) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """All slabs, each with its first slice's number."""
        for start in range(0, self.spiral.rows, SLAB):
            yield start, self.slab(start)


def flatten(spiral: Spiral, row: int, slice_: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """One row of all layers of the surface volume.

    Args:
        spiral: how the sheet lies.
        row: of the sheet; the slice's number.
        slice_: (y, x).

    Returns:
        (layers, columns): the slice along each column's normal, one voxel a layer, linear between
        voxels.
    """
    places, normals = spiral.recto(row)
    above = (np.arange(LAYERS) - SURFACE)[:, None]
    at = places[:, None] + above * normals[:, None]
    values = map_coordinates(slice_.astype(np.float32), at, order=1, mode="nearest")
    rounded: NDArray[np.uint16] = np.rint(values).astype(np.uint16)
    return rounded
