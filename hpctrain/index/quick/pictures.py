"""JPEG and PNG: dimensions from the header, and whether all parts up to the end are there.

Sources: ITU-T T.81 annex B (JPEG markers); PNG specification 3rd edition, sections 5 and 11.
"""

from __future__ import annotations

import struct
import zlib

from hpctrain.index.quick.content import Content, Look

_TAIL = 1 << 16
"""Cameras may write a few kB of their own behind the end of a JPEG."""
_END = b"\xff\xd9"
_SCAN = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame header."""


def look_at_jpeg(content: Content) -> Look:
    """Walk the segments up to the first scan; a whole file has an end marker behind it.

    Segments are jumped over, so that neither the frame nor the end of a preview counts.
    """
    if content.at(0, 2) != b"\xff\xd8":
        return Look(fault=f"unreadable: no JPEG, its first bytes are {content.at(0, 4)!r}")
    look, offset, marker = Look(), 2, 0
    ends = f"truncated: ends after {content.size} bytes"
    while marker != _SCAN:
        piece = content.at(offset, 10)
        if len(piece) < 10 or piece[1] == _END[1]:
            return look._replace(fault=f"{ends}, before its picture")
        if piece[0] != 0xFF:
            return look._replace(fault=f"unreadable: no JPEG marker at byte {offset}")
        marker = piece[1]
        if marker in _FRAMES:
            height, width, num = struct.unpack_from(">HHB", piece, 5)
            look = Look(f"{height}x{width}x{num}" if num > 1 else f"{height}x{width}", "uint8")
        offset += _step(piece)
    if not look.shape:
        return Look(fault="unreadable: a JPEG without a frame header")
    return look if _has_end(content, offset) else look._replace(fault=f"{ends} without an end")


def _step(piece: bytes) -> int:
    """Bytes to the next marker: of a fill byte, a marker alone, or a segment."""
    if piece[1] == 0xFF:
        return 1
    if 0xD0 <= piece[1] <= 0xD7 or piece[1] == 0x01:
        return 2
    return 2 + max(2, int.from_bytes(piece[2:4], "big"))


def _has_end(content: Content, scan: int) -> bool:
    """Whether an end marker stands behind the first byte of the scan."""
    start = max(scan, content.size - 2)  # nearly always the very last bytes
    if content.at(start, 2) == _END:
        return True
    start = max(scan, content.size - _TAIL)
    return _END in content.at(start, content.size - start)


_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_FULL_CHECK = 1 << 23
"""Of larger files the chunks' checksums are not computed."""


def look_at_png(content: Content) -> Look:
    """Walk the chunks from the header to the end; checksums where the file is small."""
    head = content.at(0, 26)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        return Look(fault=f"unreadable: no PNG, its first bytes are {head[:4]!r}")
    if len(head) < 26:
        return Look(fault=f"truncated: ends after {content.size} bytes, in its header")
    width, height, depth, colour = struct.unpack_from(">IIBB", head, 16)
    num = _CHANNELS.get(colour, 1)
    shape = f"{height}x{width}x{num}" if num > 1 else f"{height}x{width}"
    dtype = "uint16" if depth == 16 else "bool" if depth == 1 and colour == 0 else "uint8"
    return Look(shape, dtype, _chunk_fault(content))


def _chunk_fault(content: Content) -> str:
    """What is wrong with the chunks: length, type, data, checksum; the last one is IEND."""
    offset, has_data = 8, False
    while True:
        head = content.at(offset, 8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or offset + length + 12 > content.size:
            return f"truncated: ends after {content.size} bytes without an end"
        if not kind.isalpha():
            return f"unreadable: no PNG chunk at byte {offset}"
        if content.size <= _FULL_CHECK:
            body = content.at(offset + 4, length + 8)
            if zlib.crc32(memoryview(body)[:-4]) != int.from_bytes(body[-4:], "big"):
                return f"unreadable: wrong checksum of the chunk at byte {offset}"
        if kind == b"IEND":
            return "" if has_data else "truncated: has no picture data"
        has_data = has_data or kind == b"IDAT"
        offset += length + 12
