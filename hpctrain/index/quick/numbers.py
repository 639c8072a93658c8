"""Values of plain arrays, looked at without numpy: are they all equal, is one of them no number?

Both searches are exact. They first compare or search bytes, which runs at the speed of memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from hpctrain.index.quick.content import Content

_PIECE = 1 << 22
_TOP = {2: tuple(range(0x7C, 0x80)) + tuple(range(0xFC, 0x100)), 4: (0x7F, 0xFF), 8: (0x7F, 0xFF)}
"""Values of the top byte of a float without which it is finite."""
_FORMS = {2: "e", 4: "f", 8: "d"}


def is_constant(content: Content, offset: int, length: int, item: int) -> bool:
    """Whether all values of `item` bytes are the same; False for fewer than two."""
    if length < 2 * item:
        return False
    first = content.at(offset, item)
    if (
        content.at(offset + item, item) != first
        or content.at(offset + length - item, item) != first
    ):
        return False
    return all(piece == first * (len(piece) // item) for piece in _pieces(content, offset, length))


def first_non_finite(content: Content, offset: int, length: int, item: int, order: str) -> str:
    """Text of the first NaN or infinity among floats, or empty.

    Args:
        content: the file.
        offset: first byte of the values.
        length: bytes of the values.
        item: bytes of one value: 2, 4 or 8.
        order: '<' or '>'.
    """
    if item not in _TOP:
        return ""
    top = item - 1 if order == "<" else 0
    form = struct.Struct(order + _FORMS[item])
    for piece in _pieces(content, offset, length):
        tops = piece[top::item]
        for byte in _TOP[item]:
            at = tops.find(byte)
            while at >= 0:
                (value,) = form.unpack_from(piece, at * item)
                if value - value != 0:
                    return str(value)
                at = tops.find(byte, at + 1)
    return ""


def _pieces(content: Content, offset: int, length: int) -> Iterator[bytes]:
    for start in range(0, length, _PIECE):
        yield content.at(offset + start, min(_PIECE, length - start))
