"""Shards of Zarr 3, written chunk by chunk: memory holds one chunk, the file appears when whole.

Source: Zarr core specification 3.0, codec `sharding_indexed` 1.0: chunks in any order, then a table
with offset and length of each chunk (little-endian uint64, all ones: not there) and its CRC-32C.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.formats.packages import need
from hpctrain.formats.whole_file import WholeFile

MISSING = 2**64 - 1
CODECS = ("zstd", "blosc", "none")
ZSTD_LEVEL, BLOSC_LEVEL = 1, 5


def zarr_codec(codec: str, itemsize: int) -> Any:
    """The codec for the zarr library's `compressors`; None: as they are.

    Args:
        codec: one of CODECS.
        itemsize: bytes of a number.
    """
    codecs = need("zarr.codecs", Path())
    if codec == "zstd":
        return codecs.ZstdCodec(level=ZSTD_LEVEL, checksum=False)
    if codec == "blosc":
        return codecs.BloscCodec(
            cname="lz4", clevel=BLOSC_LEVEL, shuffle="bitshuffle", typesize=itemsize, blocksize=0
        )
    return None


def packer(codec: str, itemsize: int) -> Any:
    """The same codec for one chunk at a time: an object with `encode` and `decode`, or None."""
    if codec == "zstd":
        return need("numcodecs.zstd", Path()).Zstd(level=ZSTD_LEVEL)
    if codec == "blosc":
        blosc = need("numcodecs.blosc", Path())
        return blosc.Blosc("lz4", BLOSC_LEVEL, blosc.BITSHUFFLE, typesize=itemsize)
    return None


class ShardWriter:
    """One shard on its way to the disk."""

    def __init__(self, path: Path, chunks: Sequence[int], codec: str) -> None:
        """Args are the file, the number of chunks along each axis, and one of CODECS."""
        self._file = WholeFile(path)
        self._table = np.full((*chunks, 2), MISSING, "<u8")
        self._codec = codec

    def append(self, place: tuple[int, ...], chunk: NDArray[Any]) -> None:
        """Add one chunk, C-contiguous; one of zeros is left out, as it is the fill value."""
        if not chunk.any() and not _has_negative_zero(chunk):
            return
        own = packer(self._codec, chunk.dtype.itemsize)
        little = np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<"))
        data = own.encode(little) if own else little.tobytes()
        self._table[place] = self._file.end, len(data)
        self._file.write(data)

    def finish(self) -> tuple[int, str] | None:
        """Write the table and give the file its name; size and sha256, None: nothing but zeros."""
        if not self._file.end:
            return None
        crc = need("google_crc32c", self._file.path).value(self._table.tobytes())
        self._file.write(self._table.tobytes() + crc.to_bytes(4, "little"))
        return self._file.finish()

    def close(self) -> None:
        """Give up what is not finished; harmless afterwards."""
        self._file.close()


def _has_negative_zero(chunk: NDArray[Any]) -> bool:
    return chunk.dtype.kind == "f" and bool(np.signbit(chunk).any())
