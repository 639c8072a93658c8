"""Regions of greyscale TIFF pictures: plain ones byte by byte, others strip by strip.

Rows come first: a picture of height H and width W is read as (y, x), shape (H, W).
"""

from __future__ import annotations

import functools
import os
import struct
import threading
from collections import OrderedDict
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
RECENT_BYTES = 72 << 20
"""Unpacked strips and tiles that are kept, of all pictures together.

Two threads that each read 64 layers leave so many strips of 256 kB half used at their borders.
"""


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
    piece: tuple[int, int]
    """Rows and columns that are unpacked together: a strip or a tile; one plain row."""
    mtime_ns: int
    """When the file was changed, so that nothing of an older one is used."""


def read_pages(path: Path) -> list[Page]:
    """The pictures of a file.

    Raises:
        DataError: no TIFF, without a picture, truncated, or not one number a pixel.
    """
    with _open(path) as file:
        try:
            pages = [_page(path, number, file.pages[number]) for number in range(len(file.pages))]
        except DataError:
            raise
        except Exception as e:  # tifffile has no error of its own for a tag of another type
            raise DataError(f"{path}: has a damaged header ({e}); fetch or write it again") from e
    if not pages:
        raise DataError(
            f"{path}: holds no picture, as where its writing was interrupted; "
            "fetch or write it again"
        )
    return pages


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
    status = path.stat()
    size = status.st_size
    ends = [o + c for o, c in zip(page.dataoffsets, page.databytecounts, strict=False)]
    dtype = np.dtype(page.parent.byteorder + page.dtype.str[1:])
    is_plain = page.is_contiguous and page.predictor == 1
    is_plain = is_plain and page.bitspersample == 8 * dtype.itemsize
    if is_plain:
        ends.append(page.dataoffsets[0] + page.shape[0] * page.shape[1] * dtype.itemsize)
    if max(ends, default=0) > size:
        raise DataError(
            f"{path}: truncated: {size} bytes found, {max(ends)} by its header; "
            "fetch or write it again"
        )
    offset, piece = None, (1, page.shape[1])
    if is_plain:
        offset = int(page.dataoffsets[0])
    elif page.is_tiled:
        piece = int(page.tilelength), int(page.tilewidth)
    else:
        piece = int(min(page.rowsperstrip, page.shape[0])), page.shape[1]
    shape = (page.shape[0], page.shape[1])
    return Page(path, number, shape, dtype, offset, piece, status.st_mtime_ns)


def read_region(page: Page, rows: slice, columns: slice) -> NDArray[Any]:
    """Values of some rows and columns, (y, x), in this machine's byte order.

    Raises:
        DataError: the file cannot be read, or has changed.
    """
    if page.offset is None:
        return _unpack(page, rows, columns)
    return np.ascontiguousarray(_plain_rows(page, rows)[:, columns], page.dtype.newbyteorder("="))


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
    decode: Any


@functools.lru_cache(maxsize=MAX_PAGES)
def _pieces(page: Page) -> _Pieces:
    with _open(page.path) as file:
        one = file.pages[page.number]
        decode = functools.partial(one.decode, jpegtables=one.jpegtables)
        return _Pieces(one.dataoffsets, one.databytecounts, decode)


class _Recent:
    """Pieces of which only a part was asked for: the next rows often lie in the same strips."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Page, int], NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[Page, int]) -> NDArray[Any] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def drop(self, key: tuple[Page, int]) -> None:
        with self._lock:
            if key in self._kept:
                self._bytes -= self._kept.pop(key).nbytes

    def keep(self, key: tuple[Page, int], values: NDArray[Any]) -> None:
        with self._lock:
            if key in self._kept or values.nbytes > RECENT_BYTES // 4:
                return
            self._kept[key] = values
            self._bytes += values.nbytes
            while self._bytes > RECENT_BYTES:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes


_recent = _Recent()


def _unpack(page: Page, rows: slice, columns: slice) -> NDArray[Any]:
    """Unpack the strips or tiles that these rows and columns lie in."""
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    values = np.zeros(shape, page.dtype.newbyteorder("="))
    height, width = page.piece
    across = -(-page.shape[1] // width)
    for down in range(rows.start // height, -(-rows.stop // height)):
        for right in range(columns.start // width, -(-columns.stop // width)):
            number = down * across + right
            piece = _piece(page, number)
            top, left = down * height, right * width
            if top + piece.shape[0] > rows.stop or left + piece.shape[1] > columns.stop:
                _recent.keep((page, number), piece)  # its other rows are likely to come next
            else:
                _recent.drop((page, number))
            y0, y1 = _cut(rows, top, piece.shape[0])
            x0, x1 = _cut(columns, left, piece.shape[1])
            own = piece[y0 - top : y1 - top, x0 - left : x1 - left]
            y0, x0 = y0 - rows.start, x0 - columns.start
            values[y0 : y0 + own.shape[0], x0 : x0 + own.shape[1]] = own
    return values


def _cut(wanted: slice, start: int, size: int) -> tuple[int, int]:
    """[first, stop) of the cells of a piece that are wanted."""
    return max(wanted.start, start), min(wanted.stop, start + size)


def _piece(page: Page, number: int) -> NDArray[Any]:
    """One strip or tile as (y, x), without what lies outside of the picture."""
    found = _recent.get((page, number))
    if found is not None:
        return found
    pieces = _pieces(page)
    try:
        with page.path.open("rb") as f:
            f.seek(pieces.offsets[number])
            data = f.read(pieces.counts[number])
        values, place, shape = pieces.decode(data or None, number)
    except OSError as e:
        raise DataError(f"{page.path}: cannot be read: {e.strerror}") from e
    except Exception as e:  # each codec has errors of its own
        raise DataError(
            f"{page.path}: strip or tile {number} cannot be unpacked ({e}); fetch it again"
        ) from e
    if values is None:  # a piece that was never written: zeros
        return np.zeros(shape[1:3], page.dtype.newbyteorder("="))
    top, left = int(place[2]), int(place[3])
    whole: NDArray[Any] = values.reshape(shape[:3])[0]
    return whole[: page.shape[0] - top, : page.shape[1] - left]
