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
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Key
from hpctrain.formats.chunk_decoder import CODECS, chunk_decoder
from hpctrain.formats.shard_file import Shard

MAX_OPEN = 128
"""Shards that are kept open; each costs a file handle and its table."""
AT_ONCE = 4 << 20
"""Bytes of the chunks that are unpacked at once, where one alone has no more."""


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
        self._fill_value = page["fill_value"]
        self._unpack = chunk_decoder(name, folder)
        self._is_plain = name == "none"
        self._stored = self.dtype.newbyteorder("<")
        self._chunk_bytes = math.prod(self.chunk) * self.dtype.itemsize
        self._row_bytes = self._chunk_bytes // self.chunk[0]
        self._at_once = max(1, AT_ONCE // self._chunk_bytes)
        self._local = threading.local()
        self._open: OrderedDict[tuple[int, ...], Shard | None] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, key: Key) -> NDArray[Any]:
        """Values of one slice an axis, with start and stop and without a step."""
        out = np.empty([part.stop - part.start for part in key], self.dtype)
        parts = self._parts(key, out)
        groups = [_runs(parts[n : n + self._at_once]) for n in range(0, len(parts), self._at_once)]
        for runs, to_come in itertools.pairwise([[], *groups, []]):
            # the disk reads them side by side, and those to come while others are unpacked
            for run in to_come if runs else to_come[1:]:
                run.ask_for()
            self._copy(runs, out)
        return out

    def _parts(self, key: Key, out: NDArray[Any]) -> list[_Part]:
        """What chunks have of a region; those that are not there are filled in at once."""
        axes = [
            _spans(part, chunk, per_shard)
            for part, chunk, per_shard in zip(key, self.chunk, self._per_shard, strict=True)
        ]
        parts, shard, home = [], None, None
        for spans in itertools.product(*axes):
            place = tuple([span.shard for span in spans])
            if place != home:
                home, shard = place, self._shard(place)
            number = 0
            for span, count in zip(spans, self._per_shard, strict=True):
                number = number * count + span.chunk
            target = tuple([span.target for span in spans])
            found = None if shard is None else shard.find(number)
            if shard is None or found is None:
                out[target] = self._fill_value
                continue
            offset, length = found
            inside = [span.inside for span in spans]
            if self._is_plain:  # only the rows that are wanted are read, and stand first
                first, last = inside[0].start, inside[0].stop
                length = min(length, last * self._row_bytes) - first * self._row_bytes
                offset += first * self._row_bytes
                inside[0] = slice(0, last - first)
            parts.append(_Part(shard, number, offset, length, tuple(inside), target))
        return parts

    def _copy(self, runs: list[_Run], out: NDArray[Any]) -> None:
        """Read some chunks and copy what they have of a region."""
        parts = [part for run in runs for part in run.parts]
        room, packed = self._room(sum(run.length for run in runs)), []
        for run in runs:
            run.shard.read_into(room[: run.length], run.offset)
            for part in run.parts:
                packed.append(room[: part.length])
                room = room[part.length :]
        try:
            unpacked = self._unpack(packed, self._chunk_bytes)
            for part, chunk in zip(parts, unpacked, strict=True):
                values = np.frombuffer(chunk, self._stored).reshape(-1, *self.chunk[1:])
                out[part.target] = values[part.inside]
        except (DataError, ValueError) as e:
            raise self._damaged(parts, packed, e) from e

    def _damaged(self, parts: list[_Part], packed: list[memoryview], error: Exception) -> DataError:
        """Which of some chunks is the one that cannot be unpacked."""
        for part, chunk in zip(parts, packed, strict=True):
            try:
                for found in self._unpack([chunk], self._chunk_bytes):
                    np.frombuffer(found, self._stored).reshape(-1, *self.chunk[1:])
            except (DataError, ValueError) as e:
                break_at, error = part, e
                break
        else:
            break_at = parts[0]
        return DataError(
            f"{break_at.shard.path}: chunk {break_at.number} cannot be unpacked ({error}); "
            "convert it again"
        )

    def _room(self, length: int) -> memoryview:
        """Memory for packed bytes, which the next call on this thread writes over."""
        room = getattr(self._local, "room", None)
        if room is None or len(room) < length:
            room = self._local.room = np.empty(length, np.uint8).data
        return room[:length]

    def _shard(self, place: tuple[int, ...]) -> Shard | None:
        with self._lock:
            if place in self._open:
                self._open.move_to_end(place)
                return self._open[place]
            path = self._folder.joinpath("c", *map(str, place))
            shard = Shard(path, self._per_shard) if path.exists() else None
            self._open[place] = shard
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
            return shard


class _Span(NamedTuple):
    """What a region has of one chunk along one axis."""

    shard: int
    chunk: int
    """Within the shard."""
    inside: slice
    target: slice


class _Part(NamedTuple):
    """What a region has of one chunk."""

    shard: Shard
    number: int
    offset: int
    length: int
    inside: tuple[slice, ...]
    target: tuple[slice, ...]


class _Run(NamedTuple):
    """Chunks that lie one behind the other in a file, and are read at once."""

    parts: list[_Part]

    @property
    def shard(self) -> Shard:
        return self.parts[0].shard

    @property
    def offset(self) -> int:
        return self.parts[0].offset

    @property
    def length(self) -> int:
        return self.parts[-1].offset + self.parts[-1].length - self.offset

    def ask_for(self) -> None:
        self.shard.ask_for(self.offset, self.length)


def _runs(parts: list[_Part]) -> list[_Run]:
    runs: list[_Run] = []
    shard, end = None, 0
    for part in parts:
        if part.shard is shard and part.offset == end:
            runs[-1].parts.append(part)
        else:
            runs.append(_Run([part]))
        shard, end = part.shard, part.offset + part.length
    return runs


def _spans(part: slice, chunk: int, per_shard: int) -> list[_Span]:
    """The chunks that a region touches along one axis."""
    start, stop = part.start, part.stop
    spans = []
    for number in range(start // chunk, -(-stop // chunk)) if stop > start else ():
        first = number * chunk
        low, high = max(start, first), min(stop, first + chunk)
        inside, target = slice(low - first, high - first), slice(low - start, high - start)
        spans.append(_Span(number // per_shard, number % per_shard, inside, target))
    return spans
