"""Where the cells of a sample lie in a file: wrapped, mirrored, replicated, or interpolated.

Longitude and all axes of a box are periodic, latitude is mirrored at its edge, radius repeats its
outermost shell. Cells are read as a few basic slices an axis, never by fancy indexing of a file.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.data import Fields

Mode = Literal["periodic", "mirror", "replicate"]
Run = tuple[slice, slice]
Cells = NDArray[np.intp]
Halo = int | tuple[int, int, int]
"""Cells on each side of each axis, or one number for all."""

MODES: dict[str, tuple[Mode, Mode, Mode]] = {
    "sphere": ("replicate", "mirror", "periodic"),
    "box": ("periodic", "periodic", "periodic"),
}


_PADDING: dict[str, Mode] = {
    "periodic": "periodic",
    "reflect": "mirror",
    "repeat": "replicate",
    "none": "replicate",  # never reached: crops keep off the edges
}


def modes_of(fields: Fields) -> tuple[Mode, Mode, Mode]:
    """What lies outside along each axis: as the job file says, or of the geometry."""
    if fields.padding is None:
        return MODES[fields.geometry]
    a, b, c = (_PADDING[name] for name in fields.padding)
    return a, b, c


def each_axis(halo: Halo) -> tuple[int, int, int]:
    """The halo of each axis."""
    return (halo, halo, halo) if isinstance(halo, int) else halo


def wrap(cells: Cells, size: int, mode: Mode) -> Cells:
    """Fold cell numbers outside of [0, size) back into it.

    Mirrored cells count from the edge: -1 is 0, -2 is 1 (numpy's "symmetric" padding).
    """
    if mode == "periodic":
        return cells % size
    if mode == "replicate":
        return np.clip(cells, 0, size - 1)
    folded = cells % (2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)


def runs(cells: Cells) -> tuple[Run, ...]:
    """Split cell numbers into basic slices.

    Returns:
        (destination, source) slices; the source rises, falls, or is one cell that is repeated.
    """
    found: list[Run] = []
    i, end = 0, len(cells)
    while i < end:
        step = int(cells[i + 1] - cells[i]) if i + 1 < end else 1
        j = i + 1
        if abs(step) <= 1:
            while j < end and cells[j] - cells[j - 1] == step:
                j += 1
        found.append((slice(i, j), _source(int(cells[i]), step, j - i)))
        i = j
    return tuple(found)


def _source(first: int, step: int, length: int) -> slice:
    if step == 0 or length == 1:
        return slice(first, first + 1)
    if step == 1:
        return slice(first, first + length)
    stop = first - length
    return slice(first, stop if stop >= 0 else None, -1)


@dataclass(frozen=True)
class Interpolation:
    """Linear interpolation along one axis, in cells of the buffer that was read."""

    lower: Cells
    upper: Cells
    weight: NDArray[np.float32]
    """Share of the upper cell."""

    def apply(self, buffer: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """Interpolate (C, n0, n1, n2) along one axis; the result has `len(lower)` cells there."""
        low = np.take(buffer, self.lower, axis)
        step = np.take(buffer, self.upper, axis)
        step -= low
        shape = [1] * buffer.ndim
        shape[axis] = -1
        step *= self.weight.reshape(shape)
        low += step
        return low


@dataclass(frozen=True)
class AxisPlan:
    """What is read along one axis for one sample."""

    cells: Cells
    """Cells of the file, in the order of the buffer."""
    runs: tuple[Run, ...]
    """The same as slices (buffer, file)."""
    interpolation: Interpolation | None = None
    """None: the buffer is the sample."""


class Region:
    """What is read for one sample, along all three axes."""

    def __init__(self, plans: tuple[AxisPlan, AxisPlan, AxisPlan]) -> None:
        every = slice(None)
        self.plans = plans
        self.copies = [
            ((every, a[0], b[0], c[0]), (every, a[1], b[1], c[1]))
            for a, b, c in itertools.product(*(plan.runs for plan in plans))
        ]
        """(buffer, file) indices of (C, n0, n1, n2); a source of one cell is repeated."""
        self.is_interpolated = any(plan.interpolation is not None for plan in plans)


def plan_cells(cells: Cells) -> AxisPlan:
    """Plan for reading cells as they are."""
    return AxisPlan(cells, runs(cells))


@dataclass(frozen=True)
class Axis:
    """One axis of a field: cells of the file that are used, perhaps resampled."""

    size: int
    """Cells of the field that samples are cut from."""
    mode: Mode
    first: int = 0
    """First cell of the file that is used."""
    source: int = 0
    """Cells of the file that are used; 0: `size`."""
    lower: Cells | None = None
    """Resampling: the used cell below each cell of the field; None: as they are."""
    weight: NDArray[np.float32] | None = None
    """Resampling: share of the cell above it."""
    coordinates: NDArray[np.float64] | None = None
    """Centres of the field's cells in the file's units, if it has any."""
    _plans: dict[tuple[int, int, int], AxisPlan] = field(default_factory=dict, compare=False)

    def plan(self, start: int, length: int, halo: int = 0) -> AxisPlan:
        """Plan for cells [start - halo, start + length + halo) of the field, outside ones folded.

        Raises:
            ValueError: a halo on a resampled axis; resample in memory first.
        """
        key = (start, length, halo)
        if key not in self._plans:
            self._plans[key] = self._make_plan(*key)
        return self._plans[key]

    def _make_plan(self, start: int, length: int, halo: int) -> AxisPlan:
        wanted = np.arange(start - halo, start + length + halo)
        if self.lower is None or self.weight is None:
            return plan_cells(wrap(wanted, self.size, self.mode) + self.first)
        if halo:
            raise ValueError("a resampled axis has no halo")
        turns, inside = np.divmod(wanted, self.size)
        lower = self.lower[inside] + turns * self.source
        top = int(lower[-1]) + (1 if self.source > 1 else 0)
        read = wrap(np.arange(lower[0], top + 1), self.source, self.mode) + self.first
        low = lower - lower[0]
        high = np.minimum(low + 1, len(read) - 1)
        return AxisPlan(read, runs(read), Interpolation(low, high, self.weight[inside]))


def resampled_axis(
    size: int, mode: Mode, first: int, coordinates: NDArray[np.float64], period: float | None,
    limit: float | None = None,
) -> Axis:  # fmt: skip
    """An axis of `size` equal cells over the extent of the file's cells.

    Args:
        size: cells wanted.
        mode: what lies outside.
        first: first cell of the file that is used.
        coordinates: centres of the used cells, rising or falling, not always evenly spaced.
        period: 360 for longitude, the number of cells for a box; None: not periodic.
        limit: the extent ends at +-limit (90 for latitude, where a row may lie on the pole).
    """
    sign = 1.0 if len(coordinates) < 2 or coordinates[-1] > coordinates[0] else -1.0
    x = sign * coordinates
    low, high = _extent(x, period, limit)
    centres = low + (np.arange(size) + 0.5) * (high - low) / size
    lower, weight = _bracket(x, centres, period)
    if size == len(x) and np.array_equal(lower + weight, np.arange(size)):
        return Axis(size, mode, first, len(x), coordinates=coordinates)
    return Axis(size, mode, first, len(x), lower, weight, sign * centres)


def _extent(
    x: NDArray[np.float64], period: float | None, limit: float | None
) -> tuple[float, float]:
    """Outer faces of the first and the last cell."""
    before = 0.5 * (x[1] - x[0]) if len(x) > 1 else 0.5
    after = 0.5 * (x[-1] - x[-2]) if len(x) > 1 else 0.5
    low, high = float(x[0] - before), float(x[-1] + after)
    if period is not None:
        return low, low + period
    if limit is not None:
        return max(low, -limit), min(high, limit)
    return low, high


def _bracket(
    x: NDArray[np.float64], centres: NDArray[np.float64], period: float | None
) -> tuple[Cells, NDArray[np.float32]]:
    """The cell below each centre and the share of the next one; ends are clamped or periodic."""
    known = x if period is None else np.concatenate(([x[-1] - period], x, [x[0] + period]))
    if len(known) == 1:
        return np.zeros(len(centres), np.intp), np.zeros(len(centres), np.float32)
    tiny = 1e-9 * (known[-1] - known[0])
    lower = np.clip(np.searchsorted(known, centres + tiny, "right") - 1, 0, len(known) - 2)
    weight = (centres - known[lower]) / (known[lower + 1] - known[lower])
    weight[np.abs(weight) < 1e-6] = 0.0
    offset = 0 if period is None else 1
    return lower - offset, np.clip(weight, 0.0, 1.0).astype(np.float32)


def rotate_longitude(
    array: NDArray[np.float32], angle_rad: float, channels: tuple[int, int]
) -> None:
    """Turn Cartesian (vx, vy) about the polar axis, in place.

    Turning by minus the longitude of a slab's first column puts the slab into its own frame: the
    radial velocity vx cos(lon) cos(lat) + vy sin(lon) cos(lat) + vz sin(lat), with lon counted from
    that column, stays what it was. Without this a longitude roll is no symmetry of the physics.

    Args:
        array: (C, r, lat, lon).
        angle_rad: counted from x to y.
        channels: where vx and vy are.
    """
    if angle_rad == 0:
        return
    cos, sin = np.float32(math.cos(angle_rad)), np.float32(math.sin(angle_rad))
    x, y = array[channels[0]], array[channels[1]]
    turned = x * cos
    turned -= y * sin
    y *= cos
    y += x * sin
    x[...] = turned
