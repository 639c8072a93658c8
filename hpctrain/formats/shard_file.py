"""An open shard: its table of chunks, and reads of its bytes without a new buffer each."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from hpctrain.errors import DataError
from hpctrain.formats.packages import need
from hpctrain.formats.shards import MISSING


class Shard:
    """An open file and its table, checked once; closed when nobody uses it any more."""

    def __init__(self, path: Path, chunks: tuple[int, ...]) -> None:
        """Open it.

        Args:
            path: the file.
            chunks: how many of them it has along each axis.

        Raises:
            DataError: it cannot be read, or its table is damaged.
        """
        size = 16 * math.prod(chunks)
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY)
        except OSError as e:
            raise DataError(f"{path}: cannot be read: {e.strerror}") from e
        # chunks are asked for one by one; what the kernel would read behind them is thrown away
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_RANDOM)
        length = os.fstat(self._fd).st_size
        foot = os.pread(self._fd, size + 4, max(0, length - size - 4))
        crc = need("google_crc32c", path).value(foot[:-4])
        if length < size + 4 or foot[-4:] != crc.to_bytes(4, "little"):
            raise DataError(f"{path}: is torn (its table of chunks is damaged); convert it again")
        # numbers of a memoryview are Python's own, and found at a tenth of numpy's time
        self._table = np.frombuffer(foot[:-4], "<u8").astype(np.uint64).data

    def find(self, number: int) -> tuple[int, int] | None:
        """First byte and count of bytes of a chunk by its number; None: it is nothing but zeros."""
        offset = self._table[2 * number]
        return None if offset == MISSING else (offset, self._table[2 * number + 1])

    def ask_for(self, offset: int, length: int) -> None:
        """Let the disk begin to read."""
        os.posix_fadvise(self._fd, offset, length, os.POSIX_FADV_WILLNEED)

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill a buffer with the bytes from `offset` on.

        Raises:
            DataError: the file ends before, or the disk fails.
        """
        try:
            found = os.preadv(self._fd, [buffer], offset)
        except OSError as e:
            raise DataError(f"{self.path}: cannot be read: {e.strerror}") from e
        if found < len(buffer):
            raise DataError(f"{self.path}: is torn (a chunk ends too early); convert it again")

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)
