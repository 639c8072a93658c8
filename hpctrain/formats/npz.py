"""Arrays of npz files: mapped where they are stored as they are, else unpacked into memory."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Key
from hpctrain.index.headers.npy_head import parse_npy_head
from hpctrain.index.scroll.headers import BAD_NPZ

MOST_BYTES = 4 << 30
"""Of an array that is unpacked into memory."""


def open_npz(path: Path, name: str) -> Array:
    """One array of an npz file.

    Args:
        path: the file.
        name: of the array.

    Raises:
        DataError: no npz file, no such array, damaged, or packed and too large for memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{name}.npy")
            if member.compress_type == zipfile.ZIP_STORED:
                values = _mapped(path, member)
            else:
                values = _unpacked(path, archive, member)
    except KeyError as e:
        raise DataError(f"{path}: has no array {name!r}") from e
    except BAD_NPZ as e:
        raise DataError(f"{path}: cannot be read ({e}); fetch or write it again") from e
    kind = values.dtype.newbyteorder("=")

    def read(key: Key) -> NDArray[Any]:
        return np.ascontiguousarray(values[key], kind)

    return Array(name, values.shape, kind, read, ("channel", "z", "y", "x")[-values.ndim :])


def _mapped(path: Path, member: zipfile.ZipInfo) -> NDArray[Any]:
    with path.open("rb") as f:
        f.seek(member.header_offset + 26)  # lengths of name and extra field of the local header
        name_length, extra_length = struct.unpack("<HH", f.read(4))
        start = member.header_offset + 30 + name_length + extra_length
        f.seek(start)
        shape, dtype, order, offset = _head(path, f.read(1 << 16))
    if member.file_size < offset + int(np.prod(shape)) * dtype.itemsize:
        raise DataError(f"{path}: {member.filename} is truncated; fetch or write it again")
    return np.memmap(path, dtype, "r", start + offset, shape, order)


def _unpacked(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.file_size > MOST_BYTES:
        raise DataError(
            f"{path}: {member.filename} is packed and would take {member.file_size / 1e9:.1f} GB "
            "of memory on each rank; store it by numpy.savez or numpy.save"
        )
    data = archive.read(member)  # compares the checksum
    shape, dtype, order, offset = _head(path, data[: 1 << 16])
    return np.frombuffer(data, dtype, int(np.prod(shape)), offset).reshape(shape, order=order)


def _head(path: Path, data: bytes) -> tuple[tuple[int, ...], np.dtype[Any], Any, int]:
    is_first = data[6:7] == b"\1"
    begin = 10 if is_first else 12
    (length,) = struct.unpack("<H" if is_first else "<I", data[8:begin])
    head = parse_npy_head(data[begin : begin + length])
    if data[:6] != b"\x93NUMPY" or head is None:
        raise DataError(f"{path}: an array in it has a malformed header; write it again")
    order = "F" if head.fortran_order else "C"
    return head.shape, np.dtype(head.descr), order, begin + length
