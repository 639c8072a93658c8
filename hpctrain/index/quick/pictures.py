"""JPEG and PNG: dimensions from the header, and whether the end is there.

Sources: ITU-T T.81 annex B (JPEG markers); PNG specification 3rd edition, sections 5 and 11.
"""

from __future__ import annotations

import struct

from hpctrain.index.quick.content import Content, Look

_HEAD = 1 << 16
_TAIL = 1 << 16
"""Cameras may write a few kB of their own behind the end of a JPEG."""
_END = b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame header."""


def look_at_jpeg(content: Content) -> Look:
    """Walk the markers up to the frame header; a whole file ends with an end marker."""
    if content.at(0, 2) != b"\xff\xd8":
        return Look(fault=f"unreadable: no JPEG, its first bytes are {content.at(0, 4)!r}")
    offset, head = 2, content.at(0, _HEAD)
    while True:
        if offset + 9 > len(head) and len(head) < content.size:
            head = content.at(0, 2 * len(head))  # a long preview stands before the frame
            continue
        piece = head[offset : offset + 9]
        if len(piece) < 9:
            return Look(fault=f"truncated: ends after {content.size} bytes, before its picture")
        if piece[0] != 0xFF:
            return Look(fault=f"unreadable: no JPEG marker at byte {offset}")
        marker = piece[1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD7 or marker == 0x01:
            offset += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", piece, 5)
            num = head[offset + 9 : offset + 10] or b"\0"
            break
        offset += 2 + int.from_bytes(piece[2:4], "big")
    shape = f"{height}x{width}x{num[0]}" if num[0] > 1 else f"{height}x{width}"
    if _END not in content.tail(2) and _END not in content.tail(_TAIL):
        return Look(shape, "uint8", f"truncated: ends after {content.size} bytes without an end")
    return Look(shape, "uint8")


_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_IEND = b"\0\0\0\0IEND\xaeB`\x82"


def look_at_png(content: Content) -> Look:
    """Header chunk first, end chunk last."""
    head = content.at(0, 26)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        return Look(fault=f"unreadable: no PNG, its first bytes are {head[:4]!r}")
    if len(head) < 26:
        return Look(fault=f"truncated: ends after {content.size} bytes, in its header")
    width, height, depth, colour = struct.unpack_from(">IIBB", head, 16)
    num = _CHANNELS.get(colour, 1)
    shape = f"{height}x{width}x{num}" if num > 1 else f"{height}x{width}"
    dtype = "uint16" if depth == 16 else "bool" if depth == 1 and colour == 0 else "uint8"
    if _IEND not in content.tail(4096):
        return Look(shape, dtype, f"truncated: ends after {content.size} bytes without an end")
    return Look(shape, dtype)
