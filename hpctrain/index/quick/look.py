"""Which check a file gets: by the end of its name."""

from __future__ import annotations

import os
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.index.quick.content import Content, Look
from hpctrain.index.quick.npy import look_at_npy
from hpctrain.index.quick.pictures import look_at_jpeg, look_at_png
from hpctrain.index.quick.tables import look_at_csv, look_at_raw
from hpctrain.index.quick.tiff import look_at_tiff

VERSION = 2
"""Raised when a check finds more than before, so that files are looked at again."""
_LOOKS = {
    ".jpg": look_at_jpeg,
    ".jpeg": look_at_jpeg,
    ".png": look_at_png,
    ".csv": look_at_csv,
    ".npy": look_at_npy,
    ".tif": look_at_tiff,
    ".tiff": look_at_tiff,
}
_ARRAYS = (".nc", ".h5", ".hdf5", ".nc4")


def look(path: str, content: Content) -> Look:
    """Check a file; one of an unknown kind must only not be empty."""
    if content.size == 0:
        return Look(fault="truncated: is empty")
    try:
        return _look(path, content)
    except OSError:
        raise  # the reader says what the disk said
    except Exception as e:  # noqa: BLE001 - one broken file must not end the build of all
        text = " ".join(str(e).split())
        return Look(fault=f"unreadable: its check failed ({type(e).__name__}: {text})")


def _look(path: str, content: Content) -> Look:
    kind = os.path.splitext(path)[1].lower()
    if kind in _LOOKS:
        return _LOOKS[kind](content)
    if kind == ".raw":
        return look_at_raw(content, path)
    return _look_at_arrays(path) if kind in _ARRAYS else Look()


def _look_at_arrays(path: str) -> Look:
    """netCDF-3 and HDF5, by their headers."""
    from hpctrain.index.headers.file import read_header

    try:
        header = read_header(Path(path))
    except DataError as e:
        text = str(e).removeprefix(f"{path}: ")
        code = "truncated" if text.startswith("truncated") else "unreadable"
        return Look(fault=f"{code}: {text.removeprefix('truncated: ')}")
    largest = max(header.arrays, key=lambda a: a.num_bytes, default=None)
    return Look("x".join(map(str, largest.shape)), largest.dtype) if largest else Look()
