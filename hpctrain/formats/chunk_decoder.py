"""Unpack chunks of one size, several at a time, without the interpreter's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.errors import DataError
from hpctrain.formats.packages import need

CODECS = ("zstd", "blosc")

Unpack = Callable[[Sequence[memoryview], int], Iterator[Any]]


def chunk_decoder(codec: str, path: Path) -> Unpack:
    """What gives the bytes of packed chunks, each of so many bytes, one after the other.

    It is safe for threads. What it gives is to be used before the next is asked for.

    Args:
        codec: one of CODECS, or none.
        path: whose chunks they are, for messages.

    Raises:
        DataError: from what it gives: they cannot be unpacked, or are of another size.
    """
    if codec == "zstd":
        return _Zstd(path)
    return _Blosc(path) if codec == "blosc" else lambda packed, num_bytes: iter(packed)


class _Zstd:
    """All chunks in one call, in which other threads go on; each thread has its own context."""

    def __init__(self, path: Path) -> None:
        self._module = need("zstandard", path)
        self._local = threading.local()

    def __call__(self, packed: Sequence[memoryview], num_bytes: int) -> Iterator[Any]:
        if not packed:
            return iter(())  # zstandard 0.25 ends the process with a fault on a list of none
        own = getattr(self._local, "decompressor", None)
        if own is None:
            own = self._local.decompressor = self._module.ZstdDecompressor()
        sizes = np.full(len(packed), num_bytes, np.uint64)
        try:
            found = own.multi_decompress_to_buffer(packed, decompressed_sizes=sizes)
        except (self._module.ZstdError, ValueError) as e:
            raise DataError(str(e)) from e
        return iter(found)


class _Blosc:
    """One by one, into memory that is used again."""

    def __init__(self, path: Path) -> None:
        self._unpack = need("numcodecs.blosc", path).decompress
        self._local = threading.local()

    def __call__(self, packed: Sequence[memoryview], num_bytes: int) -> Iterator[Any]:
        buffer = getattr(self._local, "buffer", None)
        if buffer is None or buffer.nbytes != num_bytes:
            buffer = self._local.buffer = np.empty(num_bytes, np.uint8)
        for chunk in packed:
            # its head has the bytes of both; the library trusts it, and would read beyond the end
            found, length = (int.from_bytes(chunk[i : i + 4], "little") for i in (4, 12))
            if found != num_bytes:
                raise DataError(f"it has {found} bytes unpacked, not {num_bytes}")
            if length != len(chunk):
                raise DataError(f"it has {len(chunk)} bytes, not {length}")
            try:
                yield self._unpack(chunk, buffer)
            except (RuntimeError, ValueError) as e:
                raise DataError(str(e)) from e
