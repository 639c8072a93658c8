"""Open field files once, as memory maps where the format allows, in the axis order of the field."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.data import Fields
from hpctrain.errors import DataError
from hpctrain.formats.hdf5 import fill_header, open_block, read_array
from hpctrain.index.fields.layout import Layout
from hpctrain.index.fields.plan import Group, group_of
from hpctrain.index.headers.arrays import ArrayHeader, FileHeader
from hpctrain.index.headers.file import read_header


class Block(Protocol):
    """Channels that are read together, (c, n0, n1, n2) in the field's axis order."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(c, n0, n1, n2)."""

    def __getitem__(self, key: tuple[slice, ...], /) -> NDArray[Any]:
        """Values of the slices."""


@dataclass(frozen=True)
class OpenGroup:
    """The open files of one sample."""

    group: Group
    blocks: tuple[tuple[slice, Block], ...]
    """Channels and where to read them; their order is that of `group.names`."""
    fields: tuple[slice, ...]
    """Channels of each array as people made it; three channels of one in a box are a vector."""
    coordinates: tuple[NDArray[np.float64] | None, ...]
    """Of (r, lat, lon) or (x, y, z), from the file; None where it has none."""
    units: tuple[str, ...]
    """Of each channel; empty where unknown."""
    fills: tuple[float | None, ...]
    """Number that stands for a missing value, of each channel."""

    @functools.cached_property
    def has_fills(self) -> bool:
        """Whether any variable declares a number for missing values."""
        return any(fill is not None for fill in self.fills)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells in the file."""
        return self.group.layouts[0].shape

    def path_of(self, channel: int) -> Path:
        """The file that a channel comes from."""
        for header, layout in zip(self.group.headers, self.group.layouts, strict=True):
            if channel < layout.num_channels:
                return header.path
            channel -= layout.num_channels
        raise IndexError(channel)


def open_group(paths: Sequence[Path], options: Fields, is_input: bool) -> OpenGroup:
    """Open the files of one sample.

    Args:
        paths: one a pattern.
        options: the `data:` block.
        is_input: the low-resolution files.

    Raises:
        DataError: a file that cannot be read, is truncated, or whose layout is not supported.
    """
    headers = [fill_header(read_header(path)) for path in paths]
    group = group_of(headers, options, is_input)
    blocks: list[tuple[slice, Block]] = []
    fields: list[slice] = []
    arrays: list[ArrayHeader] = []  # of each channel
    for header, layout in zip(headers, group.layouts, strict=True):
        start = len(arrays)
        fields.extend(_fields(header, layout, start))
        for block in open_blocks(header, layout):
            blocks.append((slice(start, start + block.shape[0]), block))
            start += block.shape[0]
        arrays.extend(channel_arrays(layout))
    coordinates = tuple(_coordinate(headers[0], group.layouts[0], axis) for axis in range(3))
    units = tuple(str(a.attributes.get("units", "")) for a in arrays)
    fills = tuple(map(_fill, arrays))
    return OpenGroup(group, tuple(blocks), tuple(fields), coordinates, units, fills)


def _fields(header: FileHeader, layout: Layout, start: int) -> list[slice]:
    if header.kind == "npy":
        return [slice(start, start + layout.num_channels)]
    return [slice(c, c + 1) for c in range(start, start + layout.num_channels)]


def channel_arrays(layout: Layout) -> list[ArrayHeader]:
    """The array that each channel comes from; one npy array gives several."""
    return [a for a in layout.arrays for _ in range(layout.num_channels // len(layout.arrays))]


def open_blocks(header: FileHeader, layout: Layout) -> list[Block]:
    """Map or open the fields of one file; together they are its channels, in order."""
    if header.kind == "hdf5":
        return [open_block(header.path, a, layout.order) for a in layout.arrays]
    raw = np.memmap(header.path, np.uint8, "r")
    if header.kind == "named npy" and _are_neighbours(layout.arrays):
        # one view of all channels, as in an npy file without names: one copy a sample
        first = layout.arrays[0]
        return [_view(raw, replace(first, shape=(len(layout.arrays), *first.shape)))]
    return [_map(raw, array, layout) for array in layout.arrays]


def _are_neighbours(arrays: Sequence[ArrayHeader]) -> bool:
    return all(b.offset == a.offset + a.num_bytes for a, b in itertools.pairwise(arrays))


def _map(raw: NDArray[np.uint8], array: ArrayHeader, layout: Layout) -> NDArray[Any]:
    """View of one array in the map of its file, (c, n0, n1, n2); bytes are swapped when read."""
    view = _view(raw, array)
    if array.name or view.ndim == 3:
        spatial = view.reshape(view.shape[-3:]) if view.ndim > 3 else view
        return spatial.transpose(layout.order)[None]
    return view


def _view(raw: NDArray[np.uint8], array: ArrayHeader) -> NDArray[Any]:
    order: Literal["F", "C"] = "F" if array.fortran else "C"
    return np.ndarray(array.shape, array.dtype, raw.view(np.ndarray), array.offset, order=order)


def _coordinate(header: FileHeader, layout: Layout, axis: int) -> NDArray[np.float64] | None:
    if layout.dims[axis] in header.coordinates:
        return np.asarray(header.coordinates[layout.dims[axis]], np.float64)
    array = header.array(layout.dims[axis])
    if array is None or len(array.shape) != 1 or array.dtype[1] not in "fiu":
        return None
    if header.kind == "hdf5":
        values = read_array(header.path, array.name)
    else:
        values = np.fromfile(header.path, array.dtype, array.shape[0], offset=array.offset)
    values = np.asarray(values, np.float64)
    steps = np.diff(values)
    if not np.isfinite(values).all() or not ((steps > 0).all() or (steps < 0).all()):
        raise DataError(
            f"{header.path}: coordinate {array.name!r} is not strictly rising or falling; "
            "repair the file"
        )
    return values


def _fill(array: ArrayHeader) -> float | None:
    """The finite number that means missing, if the variable declares one."""
    value = array.attributes.get("_FillValue", array.attributes.get("missing_value"))
    return float(value) if isinstance(value, float | int) and np.isfinite(value) else None
