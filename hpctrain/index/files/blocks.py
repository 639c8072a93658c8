"""Blocks of bytes through a pipe: the length in four bytes, then the block."""

from __future__ import annotations

from typing import IO

ERROR = b"\0"
"""First byte of a block that is a message: why there will be no more."""


def send(sink: IO[bytes], block: bytes) -> None:
    """Write one block."""
    sink.write(len(block).to_bytes(4, "little") + block)
    sink.flush()


def receive(source: IO[bytes]) -> bytes | None:
    """Read one block; None at the end."""
    head = source.read(4)
    if len(head) < 4:
        return None
    length = int.from_bytes(head, "little")
    block = source.read(length)
    return block if len(block) == length else None
