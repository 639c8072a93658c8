"""Read regions of a field from its files: bounded number of open files, checked numbers."""

from __future__ import annotations

import resource
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.data import Fields
from hpctrain.data.geometry import Axis, Halo, Region, each_axis, modes_of, resampled_axis
from hpctrain.errors import DataError
from hpctrain.formats.field_files import OpenGroup, open_group
from hpctrain.index.fields.grid import Grid, Triple
from hpctrain.index.fields.layout import AXES

Array = NDArray[np.float32]

MAX_OPEN = 256
"""Groups of mapped files kept open; a map costs a file handle and addresses, no memory."""
MAX_OPEN_HDF5 = 16
"""Groups of chunked HDF5 files kept open; each variable has its own chunk cache."""
MAX_REGIONS = 4096
"""Plans of regions that are remembered."""


def _max_open_maps(files_a_group: int) -> int:
    """Groups that may stay open: a quarter of this process's file handles for each source."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        # raising the soft limit up to the hard one needs no right
        soft = 65536 if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    handles = 65536 if soft == resource.RLIM_INFINITY else soft
    return max(1, min(MAX_OPEN, handles // 8 // files_a_group))


class FieldSource:
    """Target or input files of one split, one group of files a sample."""

    def __init__(
        self, root: Path, files: Sequence[tuple[str, ...]], fields: Fields, is_input: bool
    ):
        self._root = root
        self._files = files
        self._fields = fields
        self._is_input = is_input
        self._lock = threading.Lock()
        self._open: OrderedDict[int, OpenGroup] = OrderedDict()
        self.first = open_group(self.paths(0), fields, is_input)
        kinds = {header.kind for header in self.first.group.headers}
        self._max_open = MAX_OPEN_HDF5 if "hdf5" in kinds else _max_open_maps(len(files[0]))
        self.axes: tuple[Axis, Axis, Axis] | None = None
        self._regions: dict[tuple[Triple, Triple, Halo], Region] = {}

    def __len__(self) -> int:
        return len(self._files)

    @property
    def names(self) -> tuple[str, ...]:
        """Channels in order."""
        return self.first.group.names

    @property
    def slow_axis(self) -> int:
        """Axis whose cells lie farthest apart in the file."""
        return self.first.group.layouts[0].slow_axis

    @property
    def longitudes(self) -> tuple[float, ...]:
        """In degrees, as the file has them; empty when unknown."""
        values = self.first.coordinates[2] if self._fields.geometry == "sphere" else None
        return () if values is None else tuple(values.tolist())

    @property
    def radius_unit(self) -> str:
        """Unit of the first axis, as the first file has it; empty where it has none."""
        group = self.first.group
        array = group.headers[0].array(group.layouts[0].dims[0])
        return "" if array is None else str(array.attributes.get("units", ""))

    def label(self, file: int) -> str:
        """Name of a group of files, for messages."""
        return "|".join(self._files[file])

    def use(self, grid: Grid) -> tuple[Axis, Axis, Axis]:
        """Settle which cells are used and how they are resampled; returns the axes."""
        a, b, c = (self._axis(grid, axis) for axis in range(3))
        self.axes = (a, b, c)
        return self.axes

    def region(self, start: Triple, size: Triple, halo: Halo = 0) -> Region:
        """Plan for reading cells [start - halo, start + size + halo) of the grid."""
        key = (start, size, halo)
        found = self._regions.get(key)
        if found is None:
            if len(self._regions) >= MAX_REGIONS:
                self._regions = {}
            found = self._regions[key] = self._make_region(start, size, halo)
        return found

    def _make_region(self, start: Triple, size: Triple, halo: Halo) -> Region:
        if self.axes is None:
            raise RuntimeError("use() comes first")
        wanted = zip(self.axes, start, size, each_axis(halo), strict=True)
        a, b, c = (axis.plan(first, length, margin) for axis, first, length, margin in wanted)
        return Region((a, b, c))

    def read(self, file: int, region: Region, out: Array) -> None:
        """Read one region.

        Args:
            file: number of the group of files.
            region: its plan.
            out: (C, n0, n1, n2) to fill, C-contiguous.

        Raises:
            DataError: a number that is not finite or stands for a missing value; names file,
                variable and position.
        """
        group = self.open(file)
        if not region.is_interpolated:
            copy_runs(group, region, out)
            check_numbers(group, region, out, self._fields.geometry)
            return
        shape = (len(out), *(len(plan.cells) for plan in region.plans))
        buffer = np.empty(shape, np.float32)
        copy_runs(group, region, buffer)
        check_numbers(group, region, buffer, self._fields.geometry)
        for axis, plan in enumerate(region.plans):
            if plan.interpolation is not None:
                buffer = plan.interpolation.apply(buffer, axis + 1)
        out[...] = buffer

    def read_rows(self, file: int, first: int, count: int) -> Array:
        """Read whole rows of the slowest axis, (C, n0, n1, n2), as scales and block means need."""
        if self.axes is None:
            raise RuntimeError("use() comes first")
        sizes = [axis.size for axis in self.axes]
        sizes[self.slow_axis] = count
        a, b, c = (first if axis == self.slow_axis else 0 for axis in range(3))
        rows = np.empty((len(self.names), *sizes), np.float32)
        self.read(file, self.region((a, b, c), (sizes[0], sizes[1], sizes[2])), rows)
        return rows

    def open(self, file: int) -> OpenGroup:
        """The open files of one sample; beyond a bound the oldest are closed."""
        group = self._open.get(file)
        if group is not None:
            return group
        with self._lock:
            if file not in self._open:
                self._open[file] = self._checked(
                    open_group(self.paths(file), self._fields, self._is_input)
                )
                while len(self._open) > self._max_open:
                    self._open.popitem(last=False)
            return self._open[file]

    def close(self, file: int) -> None:
        """Forget the open files of one sample, which close when no reader has them any more."""
        with self._lock:
            self._open.pop(file, None)

    def paths(self, file: int) -> list[Path]:
        """The files of one sample's group."""
        return [self._root / name for name in self._files[file]]

    def _checked(self, group: OpenGroup) -> OpenGroup:
        """Refuse a file on another grid than the first."""
        where, first = group.group.headers[0].path, self.first
        if group.group.names != first.group.names or group.shape != first.shape:
            raise DataError(
                f"{where}: {', '.join(group.group.names)} of {group.shape} cells, but "
                f"{first.group.headers[0].path.name} has {', '.join(first.group.names)} of "
                f"{first.shape}; all files of a pattern must be alike"
            )
        for name, a, b in zip(
            AXES[self._fields.geometry], group.coordinates, first.coordinates, strict=True
        ):
            is_same = np.allclose(a, b) if a is not None and b is not None else a is b
            if not is_same:
                raise DataError(
                    f"{where}: coordinate {name} is not that of "
                    f"{first.group.headers[0].path.name}; all files must lie on one grid"
                )
        return group

    def _axis(self, grid: Grid, axis: int) -> Axis:
        mode = modes_of(self._fields)[axis]
        start, stop = grid.used[axis]
        known = self.first.coordinates[axis]
        values = None if known is None else known[start:stop]
        if not grid.is_resampled:
            return Axis(grid.shape[axis], mode, start, stop - start, coordinates=values)
        period, limit = None, None
        if mode == "periodic":
            # A box, or columns without coordinates: cells of unit width.
            values = np.arange(stop - start, dtype=np.float64) if grid.geometry == "box" else values
            period = float(stop - start) if values is None or grid.geometry == "box" else 360.0
        elif mode == "mirror":
            limit = None if values is None else 90.0
        if values is None:
            values = np.arange(stop - start, dtype=np.float64)
        return resampled_axis(grid.shape[axis], mode, start, values, period, limit)


def copy_runs(group: OpenGroup, region: Region, out: Array) -> None:
    """Copy slices of all channels; a source of one cell is repeated."""
    for channels, block in group.blocks:
        part = out[channels]
        for to, source in region.copies:
            part[to] = block[source]


def check_numbers(group: OpenGroup, region: Region, values: Array, geometry: str) -> None:
    """Raise DataError when a value is not finite or stands for a missing one."""
    flat = values.reshape(-1)
    # One pass at memory speed; it may overflow for huge but finite values, then we look closer.
    with np.errstate(all="ignore"):
        is_finite = np.isfinite(np.dot(flat, flat))
    if is_finite and not group.has_fills:
        return
    for channel, fill in enumerate(group.fills):
        bad = ~np.isfinite(values[channel])
        if fill is not None:
            bad |= values[channel] == np.float32(fill)
        if bad.any():
            cell = np.argwhere(bad)[0]
            raise _bad_number(group, region, geometry, channel, cell, values[channel][tuple(cell)])


def _bad_number(
    group: OpenGroup,
    region: Region,
    geometry: str,
    channel: int,
    cell: NDArray[np.intp],
    value: float,
) -> DataError:
    names = AXES[geometry]
    index = [int(plan.cells[i]) for plan, i in zip(region.plans, cell, strict=True)]
    place = ", ".join(f"{n} {i}" for n, i in zip(names, index, strict=True))
    known = [
        f"{n} {c[i]:g}"
        for n, i, c in zip(names, index, group.coordinates, strict=True)
        if c is not None
    ]
    at = f" ({', '.join(known)})" if known else ""
    return DataError(
        f"{group.path_of(channel)}: {group.group.names[channel]!r} is {value:g} at index "
        f"[{place}]{at}; repair the file, or leave it out with data.steps or another pattern"
    )
