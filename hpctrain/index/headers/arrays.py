"""What a file's header says: the arrays, where they lie, and how long the file must be."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hpctrain.errors import DataError


@dataclass(frozen=True)
class ArrayHeader:
    """One array of a file."""

    name: str
    """Variable; empty in an npy file."""
    shape: tuple[int, ...]
    """Cells along each dimension, slowest first."""
    dtype: str
    """numpy's type string, such as '<f4' or '>f4'."""
    dims: tuple[str, ...] = ()
    """Names of the dimensions; empty when the format has none."""
    offset: int = 0
    """First byte in the file."""
    fortran: bool = False
    """First dimension is the fastest (npy only)."""
    contiguous: bool = True
    """False for several netCDF records, which lie apart in the file."""
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    """Texts, and the first number of numeric attributes."""

    @property
    def num_bytes(self) -> int:
        """Bytes of the values alone."""
        return math.prod(self.shape) * int(self.dtype[2:])


@dataclass(frozen=True)
class FileHeader:
    """What a file says about itself."""

    path: Path
    kind: str
    """'npy', 'named npy' (with a page behind its numbers), 'netcdf3' or 'hdf5'."""
    arrays: tuple[ArrayHeader, ...] = ()
    """All arrays in the file's order; empty for HDF5, which only h5py reads."""
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    """Global attributes."""
    coordinates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By dimension; of a named npy file only, the other formats keep them as arrays."""

    def array(self, name: str) -> ArrayHeader | None:
        """The array of that name, or None."""
        return next((a for a in self.arrays if a.name == name), None)


def truncated(path: Path, found: int, expected: int | None) -> DataError:
    """The error of a file that ends too early; `expected` is None when its header is cut off."""
    need = "more for its header alone" if expected is None else f"{expected} by its header"
    return DataError(f"{path}: truncated: {found} bytes found, {need}; fetch or write it again")


def check_size(path: Path, expected: int) -> None:
    """Raise when the file has fewer bytes than its header promises."""
    found = path.stat().st_size
    if found < expected:
        raise truncated(path, found, expected)


def unpack(f: BinaryIO, form: str) -> tuple[Any, ...]:
    """Read one struct; a short read raises struct.error."""
    return struct.unpack(form, f.read(struct.calcsize(form)))
