"""Which cells of a file are used, how many remain, and whether samples fit: for both halves.

Axes are in the order (r, lat, lon) on a sphere and (x, y, z) in a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpctrain.errors import DataError
from hpctrain.index.fields.layout import AXES

Triple = tuple[int, int, int]

SCIVIS_SHELLS = 201
"""Shells of the SciVis contest 2021; the first and the last are corrupt (EarthGAN's finding)."""


@dataclass(frozen=True)
class Grid:
    """The cells of a file that are used, and the grid they are resampled to."""

    geometry: str
    used: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    """[start, stop) of the file's cells along each axis."""
    shape: Triple
    """Cells of the field that samples are cut from: those used, or `data.grid`."""
    is_resampled: bool = False
    """Whether the field is interpolated on `data.grid`."""
    notes: tuple[str, ...] = ()
    """What was left out and why."""

    @property
    def used_shape(self) -> Triple:
        """Cells used before resampling."""
        a, b, c = (stop - start for start, stop in self.used)
        return a, b, c


def is_scivis(num_shells: int, title: str) -> bool:
    """Whether a file is from the contest: by its shells, or by a title that starts so."""
    return num_shells == SCIVIS_SHELLS or title.lower().startswith("scivis")


def plan_grid(
    where: str,
    geometry: str,
    shape: Triple,
    *,
    shells: tuple[int, int] | None = None,
    grid: Triple | None = None,
    title: str = "",
    longitudes: Sequence[float] = (),
) -> Grid:
    """Decide which cells are used.

    Args:
        where: file, for messages.
        geometry: 'sphere' or 'box'.
        shape: cells in the file.
        shells: radial layers [start, stop) asked for.
        grid: cells to resample to.
        title: the file's title or source, if any.
        longitudes: the file's longitudes in degrees, if any.

    Raises:
        DataError: shells outside of the file, shells in a box, or a longitude that is no circle.
    """
    if geometry == "box":
        if shells is not None:
            raise DataError(
                "data.shells: a box has no shells; leave it out or set geometry: sphere"
            )
        used = ((0, shape[0]), (0, shape[1]), (0, shape[2]))
        return Grid(geometry, used, grid or shape, grid is not None)
    notes = []
    start, stop = shells or (0, shape[0])
    if shells is None and is_scivis(shape[0], title):
        start, stop = 1, shape[0] - 1
        notes.append("first and last shell left out: corrupt in SciVis 2021 data")
    if stop > shape[0] or stop <= start:
        raise DataError(f"{where}: data.shells {[start, stop]} of a file with {shape[0]} shells")
    columns = shape[2]
    if _repeats_meridian(longitudes):
        columns -= 1
        notes.append(
            f"last column left out: longitude {longitudes[-1]:g} repeats {longitudes[0]:g}"
        )
    _check_circle(where, longitudes[:columns])
    used = ((start, stop), (0, shape[1]), (0, columns))
    cells = grid or (stop - start, shape[1], columns)
    return Grid(geometry, used, cells, grid is not None, tuple(notes))


def coarse_options(
    shells: tuple[int, int] | None, grid: Triple | None, factor: int
) -> tuple[tuple[int, int] | None, Triple | None]:
    """`data.shells` and `data.grid` as they apply to given low-resolution files."""
    for name, values in (("shells", shells), ("grid", grid)):
        if values is not None and any(v % factor for v in values):
            raise DataError(
                f"data.{name}: {list(values)} does not divide by upscale_factor {factor}, so the "
                "same cut of the low-resolution files does not exist; give multiples of it"
            )
    coarse_shells = (shells[0] // factor, shells[1] // factor) if shells else None
    coarse_grid = (grid[0] // factor, grid[1] // factor, grid[2] // factor) if grid else None
    return coarse_shells, coarse_grid


def coarse_shape(where: str, grid: Grid, factor: int) -> Triple:
    """Cells of the low-resolution field.

    Raises:
        DataError: a number of cells that does not divide.
    """
    names = AXES[grid.geometry]
    if any(n % factor for n in grid.shape):
        odd = [f"{name} {n}" for name, n in zip(names, grid.shape, strict=True) if n % factor]
        raise DataError(
            f"{where}: {' x '.join(map(str, grid.shape))} cells ({', '.join(names)}) are used; "
            f"{', '.join(odd)} does not divide by upscale_factor {factor}; "
            f"{_ways_out(grid, factor)}"
        )
    a, b, c = (n // factor for n in grid.shape)
    return a, b, c


def check_crop(where: str, grid: Grid, coarse: Triple, crop: Triple, key: str) -> None:
    """Raise DataError when samples do not fit in the low-resolution field.

    Args:
        where: file, for messages.
        grid: of the target.
        coarse: cells of the low-resolution field.
        crop: cells of a sample.
        key: where the crop stands in the `data:` block.
    """
    too_large = [
        f"{name} {size} (at most {n})"
        for name, size, n in zip(AXES[grid.geometry], crop, coarse, strict=True)
        if size > n
    ]
    if too_large:
        raise DataError(
            f"{where}: data.{key} {list(crop)} is larger than the low-resolution field of "
            f"{' x '.join(map(str, coarse))} cells along {', '.join(too_large)}; give a smaller "
            "crop"
        )


def _ways_out(grid: Grid, factor: int) -> str:
    near = [max(factor, n - n % factor) for n in grid.shape]
    choices = [f"data.grid: {near}"]
    only_shells = all(n % factor == 0 for n in grid.shape[1:])
    if grid.geometry == "sphere" and only_shells and not grid.is_resampled:
        start, stop = grid.used[0]
        if stop - start >= factor:
            choices.insert(0, f"data.shells: {[start, stop - (stop - start) % factor]}")
    return f"nearest that do: {' or '.join(choices)}"


def _repeats_meridian(longitudes: Sequence[float]) -> bool:
    return len(longitudes) > 2 and abs(abs(longitudes[-1] - longitudes[0]) - 360) < 1e-3


def _check_circle(where: str, longitudes: Sequence[float]) -> None:
    """A sphere's columns wrap around, so they must cover the whole circle."""
    if len(longitudes) < 2:
        return
    span = abs(longitudes[-1] - longitudes[0])
    spacing = span / (len(longitudes) - 1)
    if abs(span + spacing - 360) > 0.5 * spacing:
        raise DataError(
            f"{where}: longitude runs from {longitudes[0]:g} to {longitudes[-1]:g} degrees; "
            "geometry sphere joins the last column to the first, so give the whole circle"
        )
