"""Headers of npy, netCDF-3 and HDF5 files, read without numpy on a login node.

A header says where each array lies in its file, so that a reader can map it, and how long the file
must be, so that a truncated file is found before a job waits in a queue for it.

Sources: numpy.lib.format (npy 1.0 to 3.0); HDF5 File Format Specification 3.0, section II.A
(superblock versions 0 to 3).
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

from hpctrain.errors import DataError
from hpctrain.index.headers.arrays import ArrayHeader, FileHeader, check_size, truncated, unpack
from hpctrain.index.headers.netcdf3 import read_netcdf3
from hpctrain.index.headers.npy_head import parse_npy_head
from hpctrain.index.headers.npy_trailer import header_with_names, read_trailer

NUMBER = re.compile(r"[<>|=]?(f[248]|[iu][1248])")
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def read_header(path: Path) -> FileHeader:
    """Read and check the header of one file.

    Raises:
        DataError: unreadable, of no known format, malformed, or shorter than its header says.
    """
    try:
        with path.open("rb") as f:
            magic = f.read(8)
            if magic.startswith(b"\x93NUMPY"):
                return _read_npy(path, f)
            if magic[:3] == b"CDF" and magic[3:4] in (b"\x01", b"\x02", b"\x05"):
                return read_netcdf3(path, f)
            if magic == HDF5_MAGIC:
                return _read_hdf5(path, f)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror or e}") from e
    except struct.error as e:
        raise truncated(path, path.stat().st_size, None) from e
    if not magic:
        raise truncated(path, 0, None)
    raise DataError(
        f"{path}: is no array file (first bytes {magic!r}); give npy, netCDF-3 or netCDF-4/HDF5"
    )


def _read_npy(path: Path, f: BinaryIO) -> FileHeader:
    f.seek(6)
    major, _ = unpack(f, "BB")
    (length,) = unpack(f, "<H" if major == 1 else "<I")
    text = f.read(length)
    if len(text) < length:
        raise truncated(path, path.stat().st_size, None)
    head = parse_npy_head(text)
    if head is None:
        raise DataError(f"{path}: malformed npy header {text[:60]!r}; write it again")
    dtype = head.descr
    if not NUMBER.fullmatch(dtype):
        raise DataError(f"{path}: holds {dtype!r}; give real numbers such as '<f4'")
    dtype = dtype if dtype[0] in "<>|=" else "<" + dtype
    array = ArrayHeader("", head.shape, dtype, offset=f.tell(), fortran=head.fortran_order)
    end = array.offset + array.num_bytes
    check_size(path, end)
    page = read_trailer(path, f, end)
    return header_with_names(path, array, page) if page else FileHeader(path, "npy", (array,))


def _read_hdf5(path: Path, f: BinaryIO) -> FileHeader:
    """Only the end-of-file address of the superblock; the rest is left to h5py."""
    (version,) = unpack(f, "B")
    if version > 3:
        raise DataError(f"{path}: HDF5 superblock version {version}; versions 0 to 3 are known")
    f.seek(13 if version < 2 else 9)
    (width,) = unpack(f, "B")
    form = {2: "<H", 4: "<I", 8: "<Q"}.get(width)
    if form is None:
        raise DataError(f"{path}: HDF5 file addresses of {width} bytes; 2, 4 or 8 are possible")
    # Two addresses (base, then free space or extension) stand before the end-of-file address.
    f.seek({0: 24, 1: 28}.get(version, 12) + 2 * width)
    check_size(path, unpack(f, form)[0])
    return FileHeader(path, "hdf5")
