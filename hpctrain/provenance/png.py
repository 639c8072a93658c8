"""A stamp in a PNG: one iTXt chunk before the end (PNG 1.2, section 4.2.3.3)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from hpctrain.provenance.stamp import KEY

MAGIC = b"\x89PNG\r\n\x1a\n"
# keyword, its end, not compressed, method, no language, no translated keyword
_HEAD = KEY.encode() + b"\0\0\0\0\0"


def split(content: bytes) -> tuple[bytes | None, bytes]:
    """The stamp's text, or None; and the picture without it.

    Raises:
        ValueError: it is no whole PNG.
    """
    text, rest = None, [MAGIC]
    for kind, data, raw in _chunks(content):
        if kind == b"iTXt" and data.startswith(_HEAD):
            text = data[len(_HEAD) :]
        else:
            rest.append(raw)
    return text, b"".join(rest)


def join(content: bytes, text: bytes) -> bytes:
    """The picture with a stamp, which replaces an earlier one.

    Raises:
        ValueError: it is no whole PNG.
    """
    plain = split(content)[1]
    end = plain.rindex(b"IEND") - 4
    return plain[:end] + stamp_chunk(text) + plain[end:]


def stamp_chunk(text: bytes) -> bytes:
    """The chunk that a stamp is in; it stands before the end."""
    body = b"iTXt" + _HEAD + text
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, data and all bytes of each chunk; what follows the last one belongs to it."""
    at = len(MAGIC)
    while at < len(content):
        if len(content) < at + 12:
            raise ValueError("torn: it ends amid a chunk")
        (length,) = struct.unpack_from(">I", content, at)
        kind, end = content[at + 4 : at + 8], at + 12 + length
        if len(content) < end:
            raise ValueError("torn: it ends amid a chunk")
        if kind == b"IEND":
            end = len(content)
        yield kind, content[at + 8 : at + 8 + length], content[at:end]
        if kind == b"IEND":
            return
        at = end
    raise ValueError("torn: its end is missing")
