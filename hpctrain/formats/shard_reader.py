"""Read regions of sharded Zarr 3 arrays at a fraction of the zarr library's processor time.

A training asks for a small cube at a random place, and what the library does around each chunk
takes as long as unpacking it, or five times as long where nothing is packed
(benchmarks/convert_data.py). This reader knows only what `shards` writes: one file a shard, no or
one compressor, the table at the end; it keeps tables and open files. Many threads may read.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Key
from hpctrain.formats.chunk_decoder import CODECS, ChunkDecoder
from hpctrain.formats.packages import need
from hpctrain.formats.shards import MISSING

MAX_OPEN = 128
"""Shards that are kept open; each costs a file handle and its table."""


def _compressor(page: dict[str, Any]) -> str | None:
    """The compressor's name, 'none', or None when the array is not of the kind that is known."""
    codecs = page.get("codecs", [])
    if page.get("node_type") != "array" or [c["name"] for c in codecs] != ["sharding_indexed"]:
        return None
    inner = codecs[0]["configuration"]
    bytes_codec, *others = inner["codecs"]
    is_little = bytes_codec.get("configuration", {}).get("endian", "little") == "little"
    names = [c["name"] for c in others]
    is_known = (
        bytes_codec["name"] == "bytes"
        and is_little
        and (not names or (len(names) == 1 and names[0] in CODECS))
        and inner.get("index_location", "end") == "end"
        and [c["name"] for c in inner["index_codecs"]] == ["bytes", "crc32c"]
        and page["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
    )
    return (names or ["none"])[0] if is_known else None


def is_readable(folder: Path) -> bool:
    """Whether an array was stored in the way that this reader knows."""
    try:
        page = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
        return _compressor(page) is not None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return False


class _Shard:
    """An open file and its table; closed when nobody uses it any more."""

    def __init__(self, path: Path, chunks: tuple[int, ...]) -> None:
        size = 16 * math.prod(chunks)
        self.path = path
        try:
            self.fd = os.open(path, os.O_RDONLY)
        except OSError as e:
            raise DataError(f"{path}: cannot be read: {e.strerror}") from e
        # chunks are asked for one by one; what the kernel would read behind them is thrown away
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_RANDOM)
        length = os.fstat(self.fd).st_size
        foot = os.pread(self.fd, size + 4, max(0, length - size - 4))
        crc = need("google_crc32c", path).value(foot[:-4])
        if length < size + 4 or foot[-4:] != crc.to_bytes(4, "little"):
            raise DataError(f"{path}: is torn (its table of chunks is damaged); convert it again")
        self.table = np.frombuffer(foot[:-4], "<u8").reshape(*chunks, 2)

    def chunk(self, place: tuple[int, ...], part: tuple[int, int] | None = None) -> bytes | None:
        """The packed bytes of a chunk, or [start, stop) of them; None: it is nothing but zeros."""
        offset, length = (int(n) for n in self.table[place])
        if offset == MISSING:
            return None
        if part is not None:
            offset, length = offset + part[0], min(length, part[1]) - part[0]
        data = os.pread(self.fd, length, offset)
        if len(data) < length:
            raise DataError(f"{self.path}: is torn (a chunk ends too early); convert it again")
        return data

    def ask_for(self, place: tuple[int, ...]) -> None:
        """Let the disk begin to read a chunk."""
        offset, length = (int(n) for n in self.table[place])
        if offset != MISSING:
            os.posix_fadvise(self.fd, offset, length, os.POSIX_FADV_WILLNEED)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


class ShardedArray:
    """One array; safe for threads."""

    def __init__(self, folder: Path) -> None:
        page = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
        name = _compressor(page)
        if name is None:
            raise DataError(f"{folder}: was not stored by hpctrain; open it with the zarr library")
        self._folder = folder
        self.shape = tuple(page["shape"])
        self.dtype = np.dtype(page["data_type"])
        inner = page["codecs"][0]["configuration"]
        self.chunk = tuple(inner["chunk_shape"])
        self.shard = tuple(page["chunk_grid"]["configuration"]["chunk_shape"])
        self._per_shard = tuple(s // c for s, c in zip(self.shard, self.chunk, strict=True))
        self._fill = page["fill_value"]
        self._decode = self._decoder(name)
        self._is_plain = name == "none"
        self._stored = self.dtype.newbyteorder("<")
        self._open: OrderedDict[tuple[int, ...], _Shard | None] = OrderedDict()
        self._lock = threading.Lock()

    def _decoder(self, name: str) -> Any:
        if name == "none":
            return lambda data: data
        num_bytes = math.prod(self.chunk) * self.dtype.itemsize
        return ChunkDecoder(name, num_bytes, self._folder)

    def read(self, key: Key) -> NDArray[Any]:
        """Values of one slice an axis, with start and stop and without a step."""
        out = np.empty([part.stop - part.start for part in key], self.dtype)
        touched = [
            range(part.start // size, -(-part.stop // size)) if part.stop > part.start else range(0)
            for part, size in zip(key, self.chunk, strict=True)
        ]
        places = list(itertools.product(*touched))
        for place in places[1:]:  # the disk reads them side by side while the first is unpacked
            self._ask_for(place)
        for place in places:
            self._copy(place, key, out)
        return out

    def _ask_for(self, place: tuple[int, ...]) -> None:
        shard = self._shard(tuple(p // n for p, n in zip(place, self._per_shard, strict=True)))
        if shard is not None:
            shard.ask_for(tuple(p % n for p, n in zip(place, self._per_shard, strict=True)))

    def _copy(self, place: tuple[int, ...], key: Key, out: NDArray[Any]) -> None:
        """Copy what one chunk has of the region."""
        inside, target = [], []
        for number, size, part in zip(place, self.chunk, key, strict=True):
            low, high = max(part.start, number * size), min(part.stop, (number + 1) * size)
            inside.append(slice(low - number * size, high - number * size))
            target.append(slice(low - part.start, high - part.start))
        shape = self.chunk
        rows: tuple[int, int] | None = None
        if self._is_plain:  # only the rows that are wanted are read, and stand first
            first, last = inside[0].start, inside[0].stop
            rows, shape = (first, last), (last - first, *shape[1:])
            inside[0] = slice(0, last - first)
        data = self._chunk(place, rows)
        if data is None:
            out[tuple(target)] = self._fill
            return
        values = np.frombuffer(data, self._stored)
        if values.size != math.prod(shape):
            raise DataError(f"{self._folder}: chunk {place} is of another size; convert it again")
        out[tuple(target)] = values.reshape(shape)[tuple(inside)]

    def _chunk(self, place: tuple[int, ...], rows: tuple[int, int] | None = None) -> Any:
        """The numbers of a chunk, or of some of its rows; see `_Shard.chunk`."""
        shard = self._shard(tuple(p // n for p, n in zip(place, self._per_shard, strict=True)))
        if shard is None:
            return None
        row_bytes = math.prod(self.chunk[1:]) * self.dtype.itemsize
        part = None if rows is None else (rows[0] * row_bytes, rows[1] * row_bytes)
        inner = tuple(p % n for p, n in zip(place, self._per_shard, strict=True))
        packed = shard.chunk(inner, part)
        if packed is None:
            return None
        try:
            return self._decode(packed)
        except (RuntimeError, ValueError) as e:
            raise DataError(
                f"{shard.path}: chunk {place} cannot be unpacked ({e}); convert it again"
            ) from e

    def _shard(self, place: tuple[int, ...]) -> _Shard | None:
        with self._lock:
            if place in self._open:
                self._open.move_to_end(place)
                return self._open[place]
            path = self._folder.joinpath("c", *map(str, place))
            shard = _Shard(path, self._per_shard) if path.exists() else None
            self._open[place] = shard
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
            return shard
