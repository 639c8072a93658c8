"""One npy file a source, channels first, that a training maps into memory."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.convert.blocks import all_channel_blocks, contiguous_blocks, offset_of
from hpctrain.convert.cast import cast, target_dtype
from hpctrain.convert.options import Options
from hpctrain.convert.store import Facts, array_facts
from hpctrain.convert.units import Unit
from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Key
from hpctrain.index.headers.npy_trailer import pack_trailer


@dataclass(frozen=True)
class _File:
    name: str
    array: Array
    dtype: np.dtype[Any]
    head: bytes
    tail: bytes

    @property
    def num_bytes(self) -> int:
        return self.array.num_bytes // self.array.dtype.itemsize * self.dtype.itemsize

    @property
    def size(self) -> int:
        return len(self.head) + self.num_bytes + len(self.tail)


class NpyStore:
    """Files that are filled block by block."""

    def __init__(self, arrays: Sequence[tuple[str, Array]], options: Options) -> None:
        """Each array comes with the stem of its file."""
        self.workers = options.workers
        # a block is there as mapped pages, as values in their order, and as bytes being compared
        self._limit = options.memory_mb * 1_000_000 // (4 * options.workers)
        self._files = [_file(name, array, options.dtype) for name, array in arrays]

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self._files)

    def prepare(self, folder: Path) -> None:
        """Make files of their whole length, with header and trailer."""
        for file in self._files:
            path = folder / file.name
            if path.exists() and path.stat().st_size == file.size:
                continue
            with path.open("wb") as f:
                f.write(file.head)
                f.seek(len(file.head) + file.num_bytes)
                f.write(file.tail)

    def units(self, folder: Path) -> Sequence[Unit]:
        """One a block."""
        return [
            self._unit(f"{file.name} {number}", folder / file.name, file, key, is_check=False)
            for file in self._files
            for number, key in enumerate(self._blocks(file))
        ]

    def checks(self, folder: Path) -> Sequence[Unit]:
        """Read each block back and compare."""
        return [
            self._unit(f"check {file.name} {number}", folder / file.name, file, key, is_check=True)
            for file in self._files
            for number, key in enumerate(self._blocks(file))
        ]

    def facts(self) -> Facts:
        """Files with their arrays."""
        return {"arrays": [array_facts(f.name, f.array, f.dtype) for f in self._files]}

    def _blocks(self, file: _File) -> Iterator[Key]:
        shape, itemsize = file.array.shape, file.array.dtype.itemsize
        # a file with the channels side by side is read once for all of them
        together = file.array.block and file.array.channels and file.array.block[0] == shape[0]
        cut = all_channel_blocks if together else contiguous_blocks
        return cut(shape, itemsize, self._limit)

    def _unit(self, name: str, path: Path, file: _File, key: Key, *, is_check: bool) -> Unit:
        count = 1
        for part in key:
            count *= part.stop - part.start

        def run() -> Facts:
            where = f"{path.name}, block {name.rsplit(' ', 1)[1]}"
            values = cast(file.array.read(key), file.dtype, where)
            if is_check:
                _compare(path, file, key, values)
                return {}
            return {
                "files": {file.name: [file.size, None]},
                "sha256": _write(path, file, key, values),
            }

        return Unit(name, count * file.dtype.itemsize, run)


def _file(name: str, array: Array, dtype_name: str | None) -> _File:
    dtype = target_dtype(array, dtype_name)
    text = io.BytesIO()
    header = {"descr": dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(text, header)
    return _File(f"{name}.npy", array, dtype, text.getvalue(), _tail(array))


def _tail(array: Array) -> bytes:
    """Names, units and coordinates of channels; a plain npy file stays a plain one."""
    if not array.channels or array.is_unnamed:
        return b""
    tables = array.channel_attributes or ({},) * len(array.channels)
    return pack_trailer(
        {
            "axes": list(array.axes[1:]),
            "channels": [
                {"name": n, **dict(t)} for n, t in zip(array.channels, tables, strict=True)
            ],
            "coordinates": {name: list(values) for name, values in array.coordinates.items()},
            "attributes": dict(array.attributes),
        }
    )


def _runs(file: _File, key: Key) -> Iterator[tuple[int, slice]]:
    """Offset in the file, and the channels, of each run of bytes of a block."""
    whole = file.array.shape
    is_one_run = key[0].stop - key[0].start == 1 or all(
        part == slice(0, n) for part, n in zip(key[1:], whole[1:], strict=True)
    )
    if is_one_run:
        yield len(file.head) + offset_of(key, whole) * file.dtype.itemsize, slice(None)
        return
    for channel in range(key[0].start, key[0].stop):
        own = (slice(channel, channel + 1), *key[1:])
        place = channel - key[0].start
        offset = len(file.head) + offset_of(own, whole) * file.dtype.itemsize
        yield offset, slice(place, place + 1)


def _write(path: Path, file: _File, key: Key, values: NDArray[Any]) -> str:
    sha = hashlib.sha256()
    fd = os.open(path, os.O_WRONLY)
    try:
        for offset, channels in _runs(file, key):
            part = memoryview(values[channels].data).cast("B")
            sha.update(part)
            while part:
                written = os.pwrite(fd, part, offset)
                part, offset = part[written:], offset + written
        os.fdatasync(fd)
    finally:
        os.close(fd)
    return sha.hexdigest()


def _compare(path: Path, file: _File, key: Key, values: NDArray[Any]) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        for offset, channels in _runs(file, key):
            part = memoryview(values[channels].data).cast("B")
            if os.pread(fd, len(part), offset) != part:
                raise DataError(
                    f"{path}: holds other numbers than its source {file.array.name!r}; "
                    "the disk or the memory is faulty, or the source changed meanwhile"
                )
    finally:
        os.close(fd)
