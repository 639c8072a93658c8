"""NetCDF-4 and HDF5 through h5py; contiguous variables are mapped, chunked ones are sliced."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.index.headers.arrays import ArrayHeader, FileHeader
from hpctrain.log import logger

CHUNK_CACHE_BYTES = 8 << 20

REDSHIFTS = "redshifts"
"""CosmoFlow: the dataset that says what the last axis of a field (x, y, z, redshift) counts."""
_STORED, _NUMBER, _COUNT = "hpctrain_dataset", "hpctrain_number", "hpctrain_count"
"""Attributes of an array that is one number along the last axis of a dataset: its name there, which
number, and of how many."""


def open_file(path: Path) -> Any:
    """The open file, for a `with`; DataError when h5py is missing or cannot open it."""
    try:
        import h5py
    except ModuleNotFoundError as e:
        raise DataError(f"{path}: is netCDF-4/HDF5, which needs h5py; pip install h5py") from e
    try:
        return h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE_BYTES)
    except OSError as e:
        raise DataError(f"{path}: h5py cannot open it: {e}; fetch or write it again") from e


def fill_header(header: FileHeader) -> FileHeader:
    """Add arrays and attributes to the header of an HDF5 file; others pass through."""
    if header.kind != "hdf5":
        return header
    with open_file(header.path) as f:
        names = sorted((n for n in f if _is_array(f[n])), key=lambda name: _creation(f, name))
        arrays = tuple(a for name in names for a in _arrays(f, name))
        return replace(header, arrays=arrays, attributes=text_attributes(f.attrs))


def with_coordinates(header: FileHeader) -> FileHeader:
    """As `fill_header`, with the values of the arrays of one dimension, such as longitudes."""
    filled = fill_header(header)
    if header.kind != "hdf5":
        return filled
    lines = [a.name for a in filled.arrays if len(a.shape) == 1 and a.dtype[1] in "fiu"]
    values = {name: tuple(read_array(header.path, name).astype(float).tolist()) for name in lines}
    return replace(filled, coordinates=values)


def read_array(path: Path, name: str) -> NDArray[Any]:
    """All values of a small array, such as a coordinate."""
    with open_file(path) as f:
        return np.asarray(f[name][()])


def open_block(path: Path, array: ArrayHeader, order: tuple[int, int, int]) -> Any:
    """Map or open one variable as (1, n0, n1, n2) in the field's axis order."""
    stored = array.attributes.get(_STORED)
    if array.offset and stored is not None:
        count, number = int(array.attributes[_COUNT]), int(array.attributes[_NUMBER])
        whole = np.memmap(path, array.dtype, "r", array.offset, (*array.shape, count))
        return whole.view(np.ndarray)[..., number].transpose(order)[None]
    if array.offset:
        raw = np.memmap(path, array.dtype, "r", array.offset, array.shape)
        plain = raw.view(np.ndarray)
        return plain.reshape(plain.shape[-3:]).transpose(order)[None]
    return ChunkedBlock(path, array, order)


class ChunkedBlock:
    """A chunked or compressed variable; h5py's lock makes it safe for threads."""

    def __init__(self, path: Path, array: ArrayHeader, order: tuple[int, int, int]) -> None:
        self._file = open_file(path)
        stored = array.attributes.get(_STORED)
        self._dataset = self._file[array.name if stored is None else stored]
        self._tail = () if stored is None else (int(array.attributes[_NUMBER]),)
        self._order = order
        self._lead = (0,) * (len(array.shape) - 3)
        sizes = array.shape[-3:]
        self.shape = (1, *(sizes[i] for i in order))
        chunk = math.prod(self._dataset.chunks or ()) * self._dataset.dtype.itemsize
        if chunk > CHUNK_CACHE_BYTES:
            _warn_chunks(str(path.parent), chunk)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        """Values of the slices; h5py knows no falling slices, so these are turned here."""
        wanted: list[slice] = [slice(None)] * 3
        turn: list[slice] = [slice(None)] * 3
        for axis, place in enumerate(self._order):
            part = key[axis + 1]
            if part.step == -1:
                low = 0 if part.stop is None else part.stop + 1
                wanted[place], turn[axis] = slice(low, part.start + 1), slice(None, None, -1)
            else:
                wanted[place] = part
        values = np.asarray(self._dataset[(*self._lead, *wanted, *self._tail)])
        return values.transpose(self._order)[tuple(turn)][None]


@functools.cache
def _warn_chunks(folder: str, num_bytes: int) -> None:
    logger.warning(
        "files in %s are stored in chunks of %.0f MB, each unpacked for every sample; "
        "a contiguous copy reads much faster: nccopy -d0 -c none",
        folder,
        num_bytes / 1e6,
    )


def _creation(f: Any, name: str) -> tuple[int, str]:
    """Order in which netCDF-4 made the variables; where none was kept, order of the names."""
    info = f.id.links.get_info(name.encode())
    return (info.corder if info.corder_valid else 0), name


def _is_array(item: Any) -> bool:
    """A numeric dataset, and not a netCDF dimension that has no coordinate variable."""
    scale = item.attrs.get("NAME", b"")
    is_bare = isinstance(scale, bytes) and scale.startswith(b"This is a netCDF dimension but not")
    return hasattr(item, "dtype") and item.dtype.kind in "fiu" and not is_bare


def _arrays(f: Any, name: str) -> list[ArrayHeader]:
    """The array of that name; of CosmoFlow's (x, y, z, redshift) one for each redshift."""
    whole = _array(f[name], name)
    if name == REDSHIFTS or REDSHIFTS not in f or len(whole.shape) != 4:
        return [whole]
    redshifts = np.ravel(f[REDSHIFTS][()]).tolist()
    if len(redshifts) != whole.shape[-1]:
        return [whole]
    return [
        replace(
            whole,
            name=f"z={redshift:g}",
            shape=whole.shape[:3],
            dims=whole.dims[:3],
            attributes={
                **whole.attributes,
                _STORED: name,
                _NUMBER: float(number),
                _COUNT: float(len(redshifts)),
            },
        )
        for number, redshift in enumerate(redshifts)
    ]


def _array(dataset: Any, name: str) -> ArrayHeader:
    is_plain = dataset.chunks is None and dataset.id.get_create_plist().get_nfilters() == 0
    offset = dataset.id.get_offset() if is_plain else None
    return ArrayHeader(
        name,
        tuple(dataset.shape),
        dataset.dtype.str,
        tuple(_dim_name(d) for d in dataset.dims),
        offset or 0,
        attributes=text_attributes(dataset.attrs),
    )


def _dim_name(dim: Any) -> str:
    """Name of the attached scale (netCDF-4), else the dimension's label, else none."""
    if len(dim):
        return str(dim[0].name).rsplit("/", 1)[-1]
    return str(dim.label)


def text_attributes(attrs: Mapping[str, Any]) -> dict[str, str | float]:
    """Texts and first numbers; references and the like are left out."""
    table: dict[str, str | float] = {}
    for name in attrs:
        try:
            value = np.asarray(attrs[name])
        except (OSError, TypeError):
            continue  # a type that h5py cannot turn into numpy; no field needs it
        if value.dtype.kind in "fiu" and value.size:
            table[name] = float(value.flat[0])
        elif value.dtype.kind in "SUO" and value.size == 1:
            text = value.flat[0]
            table[name] = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return table
