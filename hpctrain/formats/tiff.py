"""Regions of greyscale TIFF pictures: plain ones byte by byte, others strip by strip.

Rows come first: a picture of height H and width W is read as (y, x), shape (H, W).
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.packages import need

MAX_PAGES = 512
"""Pictures whose places of strips are kept in memory."""


@dataclass(frozen=True)
class Page:
    """One picture in a file."""

    path: Path
    number: int
    shape: tuple[int, int]
    """Rows, columns."""
    dtype: np.dtype[Any]
    """As in the file, with its byte order."""
    offset: int | None
    """First byte of plain rows; None: compressed or in pieces."""
    rows_at_once: int
    """Rows that are unpacked together; 1 for plain rows."""


def read_pages(path: Path) -> list[Page]:
    """The pictures of a file.

    Raises:
        DataError: no TIFF, truncated, or not one number a pixel.
    """
    with _open(path) as file:
        return [_page(path, number, file.pages[number]) for number in range(len(file.pages))]


def _open(path: Path) -> Any:
    tifffile = need("tifffile", path)
    try:
        return tifffile.TiffFile(path)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror or e}") from e
    except (tifffile.TiffFileError, ValueError, IndexError, KeyError, struct.error) as e:
        raise DataError(f"{path}: is no TIFF file ({e}); fetch or write it again") from e


def _page(path: Path, number: int, page: Any) -> Page:
    if len(page.shape) != 2 or page.dtype is None or page.dtype.kind not in "uif":
        raise DataError(
            f"{path}: holds a picture of shape {list(page.shape)}; give greyscale pictures, "
            "one number a pixel"
        )
    size = path.stat().st_size
    ends = [o + c for o, c in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if max(ends, default=0) > size:
        raise DataError(
            f"{path}: truncated: {size} bytes found, {max(ends)} by its header; "
            "fetch or write it again"
        )
    offset, rows = None, 1
    dtype = np.dtype(page.parent.byteorder + page.dtype.str[1:])
    if page.is_contiguous and page.bitspersample == 8 * dtype.itemsize and page.predictor == 1:
        offset = int(page.dataoffsets[0])
    else:
        rows = int(page.tilelength if page.is_tiled else min(page.rowsperstrip, page.shape[0]))
    return Page(path, number, (page.shape[0], page.shape[1]), dtype, offset, rows)


def read_rows(page: Page, rows: slice, columns: slice) -> NDArray[Any]:
    """Values of some rows and columns, (y, x), in this machine's byte order.

    Raises:
        DataError: the file cannot be read, or has changed.
    """
    found = _plain_rows(page, rows) if page.offset is not None else _unpack(page, rows)
    return np.ascontiguousarray(found[:, columns], page.dtype.newbyteorder("="))


def _plain_rows(page: Page, rows: slice) -> NDArray[Any]:
    assert page.offset is not None
    values = np.empty((rows.stop - rows.start, page.shape[1]), page.dtype)
    start = page.offset + rows.start * page.shape[1] * page.dtype.itemsize
    try:
        fd = os.open(page.path, os.O_RDONLY)
    except OSError as e:
        raise DataError(f"{page.path}: cannot be read: {e.strerror}") from e
    try:
        if os.preadv(fd, [values.data], start) < values.nbytes:
            raise DataError(f"{page.path}: is shorter than when it was opened; fetch it again")
    finally:
        os.close(fd)
    return values


@dataclass(frozen=True)
class _Pieces:
    """Where the strips or tiles of a picture are, and how they are unpacked."""

    offsets: Sequence[int]
    counts: Sequence[int]
    size: tuple[int, int]
    """Rows and columns of one."""
    decode: Any


@functools.lru_cache(maxsize=MAX_PAGES)
def _pieces(page: Page) -> _Pieces:
    with _open(page.path) as file:
        one = file.pages[page.number]
        size = (
            (one.tilelength, one.tilewidth) if one.is_tiled else (page.rows_at_once, one.shape[1])
        )
        decode = functools.partial(one.decode, jpegtables=one.jpegtables)
        return _Pieces(one.dataoffsets, one.databytecounts, size, decode)


def _unpack(page: Page, rows: slice) -> NDArray[Any]:
    """Unpack the strips or tiles that these rows lie in."""
    values = np.zeros((rows.stop - rows.start, page.shape[1]), page.dtype.newbyteorder("="))
    pieces = _pieces(page)
    height, width = pieces.size
    across = -(-page.shape[1] // width)
    numbers = range(rows.start // height * across, ((rows.stop - 1) // height + 1) * across)
    try:
        with page.path.open("rb") as f:
            for number in numbers:
                f.seek(pieces.offsets[number])
                data = f.read(pieces.counts[number])
                piece, (top, left) = _piece(page, pieces, number, data)
                a, b = max(rows.start, top), min(rows.stop, top + len(piece))
                target = values[a - rows.start : b - rows.start, left : left + piece.shape[1]]
                target[...] = piece[a - top : b - top]
    except OSError as e:
        raise DataError(f"{page.path}: cannot be read: {e.strerror}") from e
    return values


def _piece(
    page: Page, pieces: _Pieces, number: int, data: bytes
) -> tuple[NDArray[Any], tuple[int, int]]:
    """One strip or tile as (y, x), and where it lies."""
    try:
        values, place, shape = pieces.decode(data or None, number)
    except Exception as e:  # each codec has errors of its own
        raise DataError(
            f"{page.path}: strip or tile {number} cannot be unpacked ({e}); fetch it again"
        ) from e
    top, left = int(place[2]), int(place[3])
    if values is None:  # a piece that was never written: zeros
        return np.zeros(shape[1:3], page.dtype.newbyteorder("=")), (top, left)
    piece = values.reshape(shape[:3])[0]
    return piece[: page.shape[0] - top, : page.shape[1] - left], (top, left)
