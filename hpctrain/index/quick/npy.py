"""npy: the header against the size, then the values. Source: numpy.lib.format (1.0 to 3.0)."""

from __future__ import annotations

import math

from hpctrain.index.headers.npy_head import parse_npy_head
from hpctrain.index.quick.content import Content, Look
from hpctrain.index.quick.numbers import first_non_finite, is_constant

_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex", "b": "bool"}


def look_at_npy(content: Content) -> Look:
    """Shape and type by the header; truncated, constant, or with NaN by the bytes."""
    head = content.at(0, 12)
    if head[:6] != b"\x93NUMPY":
        return Look(fault=f"unreadable: no npy, its first bytes are {head[:4]!r}")
    wide = len(head) > 6 and head[6] > 1
    begin = 12 if wide else 10
    length = int.from_bytes(head[8:begin], "little")
    text = content.at(begin, length)
    if len(head) < begin or len(text) < length:
        return Look(fault=f"truncated: ends after {content.size} bytes, in its header")
    parsed = _parse(text)
    if parsed is None:
        return Look(fault=f"unreadable: malformed npy header {text[:40]!r}")
    shape, order, kind, item = parsed
    look = Look("x".join(map(str, shape)) or "1", f"{_KINDS.get(kind, kind)}{8 * item}")
    if kind == "b":
        look = look._replace(dtype="bool")
    offset, num_bytes = begin + length, math.prod(shape) * item
    if content.size < offset + num_bytes:
        need = f"{offset + num_bytes} by its header"
        return look._replace(fault=f"truncated: {content.size} bytes, {need}")
    if kind == "f" and (value := first_non_finite(content, offset, num_bytes, item, order)):
        return look._replace(fault=f"nan: has a value {value}")
    if is_constant(content, offset, num_bytes, item):
        return look._replace(fault="constant: all values are equal")
    return look


def _parse(text: bytes) -> tuple[tuple[int, ...], str, str, int] | None:
    head = parse_npy_head(text)
    if head is None:
        return None
    try:
        order, kind, item = head.descr[0], head.descr[1], int(head.descr[2:])
    except (ValueError, IndexError):
        return None
    if item < 0:
        return None
    return head.shape, ">" if order == ">" else "<", kind, item
