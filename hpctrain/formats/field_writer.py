"""Fields that are written box by box, also by several processes at once: npy, NetCDF and Zarr.

One process makes the file in its whole length, all fill boxes that do not overlap, and one ends it.
Each box goes to its place by plain writes, so that memory stays as small as the box, and no process
maps pages that another one changes.
"""

from __future__ import annotations

import io
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import ConfigError, unwritable
from hpctrain.formats import netcdf3
from hpctrain.formats.packages import need
from hpctrain.index.headers.npy_trailer import pack_trailer

Span = tuple[int, int]
Box = tuple[Span, Span, Span]

FORMATS = {"npy": ".npy", "netcdf": ".nc", "zarr": ".zarr"}
"""Names and suffixes."""
_CHUNK = 64
"""Cells of a Zarr chunk along each axis, about."""


@dataclass(frozen=True)
class FieldSheet:
    """What is written about fields beside their numbers."""

    names: tuple[str, ...]
    """Of the channels."""
    shape: tuple[int, int, int]
    dims: tuple[str, str, str]
    units: tuple[str, ...] = ()
    """Of the channels; an empty text where unknown."""
    coordinates: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """By axis."""
    coordinate_units: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Of the whole file."""
    pages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Further tables that an npy file carries behind its numbers."""
    tile: tuple[int, int, int] = (1, 1, 1)
    """Boxes begin at multiples of this."""

    def of_channel(self, number: int) -> dict[str, str]:
        """Attributes of a channel."""
        unit = self.units[number] if self.units else ""
        return {"units": unit} if unit else {}

    def of_axis(self, name: str) -> dict[str, str]:
        """Attributes of a coordinate."""
        unit = self.coordinate_units.get(name, "")
        return {"units": unit} if unit else {}


class FieldWriter(Protocol):
    """One file or folder that is being written."""

    def create(self) -> None:
        """Make it, with all but the fields' numbers; one process."""

    def write(self, box: Box, values: NDArray[np.float32]) -> None:
        """Write (C, n0, n1, n2) at a box; any process, once `create` is done."""

    def sync(self) -> None:
        """Let what this process wrote reach the disk."""


def field_writer(path: Path, sheet: FieldSheet) -> FieldWriter:
    """The writer that the suffix names.

    Raises:
        ConfigError: no such suffix, or its library is not installed.
    """
    makers: dict[str, Any] = {".npy": _npy, ".nc": _netcdf, ".zarr": _ZarrWriter}
    make = makers.get(path.suffix.lower())
    if make is None:
        raise ConfigError(f"{path}: no writer for this suffix; choose from {', '.join(makers)}")
    writer: FieldWriter = make(path, sheet)
    return writer


class _PlainWriter:
    """A file with a head, one contiguous array a channel, and a tail."""

    def __init__(
        self, path: Path, sheet: FieldSheet, head: bytes, offsets: Sequence[int], tail: bytes,
        dtype: str,
    ) -> None:  # fmt: skip
        self._path, self._shape, self._dtype = path, sheet.shape, np.dtype(dtype)
        self._head, self._offsets, self._tail = head, offsets, tail
        self._fd: int | None = None

    def create(self) -> None:
        """See `FieldWriter`."""
        end = self._offsets[-1] + math.prod(self._shape) * self._dtype.itemsize
        try:
            with self._path.open("wb") as file:
                file.write(self._head)
                file.truncate(end)
                file.seek(end)
                file.write(self._tail)
        except OSError as e:
            raise unwritable(self._path, e) from e

    def write(self, box: Box, values: NDArray[np.float32]) -> None:
        """See `FieldWriter`."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_WRONLY)
        stored = np.ascontiguousarray(values, self._dtype)
        try:
            for offset, part in self._runs(box, stored):
                while part:
                    written = os.pwrite(self._fd, part, offset)
                    part, offset = part[written:], offset + written
        except OSError as e:
            raise unwritable(self._path, e) from e

    def sync(self) -> None:
        """See `FieldWriter`."""
        if self._fd is not None:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = None

    def _runs(self, box: Box, stored: NDArray[Any]) -> Iterator[tuple[int, memoryview]]:
        """Offset and bytes of each run of cells that follow each other in the file."""
        (a, _), (b, _), (c, _) = box
        _, m, k = self._shape
        size = self._dtype.itemsize
        is_plane = stored.shape[2:] == (m, k)
        for channel, offset in enumerate(self._offsets):
            if is_plane:
                yield offset + a * m * k * size, memoryview(stored[channel]).cast("B")
                continue
            rows = itertools.product(range(stored.shape[1]), range(stored.shape[2]))
            if stored.shape[3] == k:
                for i in range(stored.shape[1]):
                    place = ((a + i) * m + b) * k
                    yield offset + place * size, memoryview(stored[channel, i]).cast("B")
                continue
            for i, j in rows:
                place = ((a + i) * m + b + j) * k + c
                yield offset + place * size, memoryview(stored[channel, i, j]).cast("B")


def _npy(path: Path, sheet: FieldSheet) -> _PlainWriter:
    """Npy with names, units and coordinates behind its numbers, which numpy does not look at."""
    shape = (len(sheet.names), *sheet.shape)
    text = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(text, header)
    head, step = text.getvalue(), 4 * math.prod(sheet.shape)
    tail = pack_trailer(
        {
            "axes": list(sheet.dims),
            "channels": [{"name": n, **sheet.of_channel(i)} for i, n in enumerate(sheet.names)],
            "coordinates": {name: x.tolist() for name, x in sheet.coordinates.items()},
            "attributes": dict(sheet.attributes),
            **sheet.pages,
        }
    )
    offsets = [len(head) + i * step for i in range(len(sheet.names))]
    return _PlainWriter(path, sheet, head, offsets, tail, "<f4")


def _netcdf(path: Path, sheet: FieldSheet) -> _PlainWriter:
    """NetCDF 3: coordinates first, then one variable a channel."""
    known = [name for name in sheet.dims if name in sheet.coordinates]
    entries = [netcdf3.Entry(name, (name,), "f8", sheet.of_axis(name)) for name in known]
    entries += [
        netcdf3.Entry(name, sheet.dims, "f4", sheet.of_channel(i))
        for i, name in enumerate(sheet.names)
    ]
    dimensions = dict(zip(sheet.dims, sheet.shape, strict=True))
    head, offsets = netcdf3.header(dimensions, entries, sheet.attributes)
    head += b"".join(sheet.coordinates[name].astype(">f8").tobytes() for name in known)
    return _PlainWriter(path, sheet, head, offsets[len(known) :], b"", ">f4")


class _ZarrWriter:
    """A Zarr 3 group as xarray has it: one array a variable, and one a coordinate."""

    def __init__(self, path: Path, sheet: FieldSheet) -> None:
        self._path, self._sheet = path, sheet
        self._zarr = need("zarr", path)
        a, b, c = (_chunk(t, n) for t, n in zip(sheet.tile, sheet.shape, strict=True))
        self._chunk = (a, b, c)
        self._arrays: list[Any] | None = None

    def create(self) -> None:
        """See `FieldWriter`."""
        sheet = self._sheet
        attributes = dict(sheet.attributes)
        group = self._zarr.open_group(str(self._path), mode="w", zarr_format=3)
        group.attrs.update(attributes)
        for number, name in enumerate(sheet.names):
            group.create_array(
                name,
                shape=sheet.shape,
                dtype="float32",
                chunks=self._chunk,
                dimension_names=sheet.dims,
                attributes=sheet.of_channel(number),
            )
        for name, values in sheet.coordinates.items():
            array = group.create_array(
                name,
                shape=values.shape,
                dtype="float64",
                dimension_names=(name,),
                attributes=sheet.of_axis(name),
            )
            array[:] = values

    def write(self, box: Box, values: NDArray[np.float32]) -> None:
        """See `FieldWriter`; boxes begin at edges of chunks, so that no two share one."""
        if self._arrays is None:
            group = self._zarr.open_group(str(self._path), mode="r+")
            self._arrays = [group[name] for name in self._sheet.names]
        for array, part in zip(self._arrays, values, strict=True):
            array[tuple(slice(*span) for span in box)] = part

    def sync(self) -> None:
        """See `FieldWriter`; Zarr's files are written whole."""


def _chunk(tile: int, size: int) -> int:
    """Cells of a chunk: a part of a tile of about the size wanted, else the tile."""
    if tile >= size:
        return min(size, _CHUNK)
    fits = [n for n in range(min(_CHUNK, tile), 0, -1) if tile % n == 0]
    return fits[0] if fits and fits[0] > _CHUNK // 4 else tile
