"""The bytes of a file as the checks see them, and what a check says."""

from __future__ import annotations

import os
from typing import NamedTuple


class Look(NamedTuple):
    """What a check found."""

    shape: str = ""
    """Cells or pixels along each axis, such as 2048x6144x3."""
    dtype: str = ""
    """numpy's name of the type, such as uint8; csv for decimal text."""
    fault: str = ""
    """`code: what was found`, or empty."""


class Content:
    """A file: read whole where it is small, by pieces where it is large."""

    __slots__ = ("descriptor", "size", "whole")

    def __init__(self, descriptor: int, size: int, whole: bytes | None) -> None:
        """Hold an open file.

        Args:
            descriptor: of the open file; used only where `whole` is None.
            size: bytes of the file.
            whole: all bytes.
        """
        self.descriptor, self.size, self.whole = descriptor, size, whole

    def at(self, offset: int, length: int) -> bytes:
        """Bytes from an offset; fewer at the end of the file."""
        if self.whole is not None:
            return self.whole[offset : offset + length]
        return os.pread(self.descriptor, length, offset) if offset < self.size else b""

    def tail(self, length: int) -> bytes:
        """The last bytes."""
        return self.at(max(0, self.size - length), length)
