"""Decoded pictures in a memory-mapped file that many ranks fill and check.

    FOLDER/KEY/recipe.json    what the pictures are: settings and the digest of the set
    FOLDER/KEY/planes         a slot for each, as large as float32 values would be; holes are free
    FOLDER/KEY/marks          32 bytes a picture: digest of its source, CRC-32 of its bytes, type

A mark is written behind the bytes that it speaks for, and every process compares both when it
first reads a picture: one that is torn, altered or of another source is decoded again. Ranks that
write the same picture write the same bytes, so that there are no locks, and a reader on another
node that sees only a part of them decodes for itself.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.log import logger

Plane = NDArray[Any]
_MARK = struct.Struct("<16sIB11x")
_KIND_AT = struct.calcsize("<16sI")
_TYPES: tuple[str, ...] = ("", "|u1", "<u2", "<f4")
_PAGE = 4096
"""Slots begin at pages, so that what a slot does not need takes no room on the disk."""


class PlaneStore:
    """Slots for the planes of one kind; safe for threads and for processes."""

    def __init__(
        self,
        folder: Path,
        recipe: Mapping[str, Any],
        shape: tuple[int, ...],
        count: int,
        kept: int | None = None,
    ) -> None:
        """Open the files, or make them.

        Args:
            folder: of all stores; made if need be.
            recipe: everything that the bytes follow from, beside the sources' own digests.
            shape: of a plane.
            count: of pictures.
            kept: so many of them, the first ones, are written; None: all.

        Raises:
            OSError: the files cannot be made here.
        """
        page = {**recipe, "shape": list(shape), "count": count, "version": 1}
        text = json.dumps(page, indent=1, sort_keys=True) + "\n"
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._shape, self._cells = shape, int(np.prod(shape))
        self._slot, self._kept = slot_bytes(shape), count if kept is None else kept
        self._planes, self._planes_fd = _mapped(self.folder / "planes", self._slot * count)
        self._marks, self._marks_fd = _mapped(self.folder / "marks", _MARK.size * count)
        self._is_seen = np.zeros(count, bool)
        self._is_full = False
        self._lock = threading.Lock()
        _write_once(self.folder / "recipe.json", text)

    def __del__(self) -> None:
        for name in ("_planes_fd", "_marks_fd"):
            if hasattr(self, name):
                os.close(getattr(self, name))

    @property
    def missing_bytes(self) -> int:
        """Most room that pictures take which are still to be written."""
        kinds = np.frombuffer(self._marks, np.uint8)[_KIND_AT :: _MARK.size]
        return int(np.count_nonzero(kinds[: self._kept] == 0)) * self._slot

    def get(self, number: int, source: str, decode: Callable[[], Plane]) -> Plane:
        """The plane of a picture; a view of the map that must not be changed, or a new array.

        Args:
            number: of its slot.
            source: what its bytes are made of: the file's digest, and how it is cut.
            decode: makes it where the store does not have it.
        """
        key = hashlib.sha256(source.encode()).digest()[:16]
        found = self._find(number, key)
        if found is not None:
            return found
        plane = np.ascontiguousarray(decode())
        if plane.shape != self._shape:
            raise DataError(f"decoded {list(plane.shape)} where {list(self._shape)} was asked for")
        if number < self._kept:
            self._put(number, key, plane)
        return plane

    def _find(self, number: int, key: bytes) -> Plane | None:
        own, crc, kind = _MARK.unpack_from(self._marks, number * _MARK.size)
        if own != key or not 0 < kind < len(_TYPES):
            return None
        dtype = np.dtype(_TYPES[kind])
        start = number * self._slot
        if dtype.itemsize * self._cells > self._slot:
            return None
        plane: Plane = np.frombuffer(self._planes, dtype, self._cells, start)
        if not self._is_seen[number]:
            if zlib.crc32(plane.data) != crc:
                logger.warning(
                    "%s: picture %d is torn or altered; it is decoded again", self.folder, number
                )
                return None
            self._is_seen[number] = True
        return plane.reshape(self._shape)

    def _put(self, number: int, key: bytes, plane: Plane) -> None:
        stored = np.dtype(plane.dtype).newbyteorder("<")
        data = plane.astype(stored, copy=False).tobytes()
        if stored.str not in _TYPES or len(data) > self._slot or self._is_full:
            return
        mark = _MARK.pack(key, zlib.crc32(data), _TYPES.index(stored.str))
        try:
            _write_at(self._planes_fd, data, number * self._slot)
            _write_at(self._marks_fd, mark, number * _MARK.size)
        except OSError as e:
            if e.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
                raise
            with self._lock:
                if not self._is_full:
                    logger.warning(
                        "%s: %s; further pictures are decoded each time", self.folder, e.strerror
                    )
                self._is_full = True


def slot_bytes(shape: tuple[int, ...]) -> int:
    """Most bytes on the disk that a plane takes: colours are never larger than a byte each."""
    largest = int(np.prod(shape)) * (1 if len(shape) == 3 else 4)
    return -(-largest // _PAGE) * _PAGE


def _mapped(path: Path, size: int) -> tuple[mmap.mmap, int]:
    """A file of zeros, or what others have made of it; mapped for reading, open for writing."""
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    if os.fstat(number).st_size < size:  # also one that somebody has cut off
        os.ftruncate(number, size)
    return mmap.mmap(number, size, access=mmap.ACCESS_READ), number


def _write_at(number: int, data: bytes, start: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(number, rest, start)
        rest, start = rest[written:], start + written


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        own = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        own.write_text(text, encoding="utf-8")
        own.replace(path)
