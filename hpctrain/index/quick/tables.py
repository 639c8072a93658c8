"""CSV: the table of a Mobotix camera, or any other; and that camera's raw frames.

A Mobotix table has seven lines `key;value`, an empty line, then `height` rows of `width` numbers.
"""

from __future__ import annotations

import re

from hpctrain.index.quick.content import Content, Look
from hpctrain.index.quick.numbers import is_constant

_CHUNK = 1 << 22
_RAW = re.compile(r"_(\d+)x(\d+)_14bit[^/]*\.raw$")
_SIZE = re.compile(rb"\nwidth;(\d+)\r?\nheight;(\d+)\r?\n")
_PLAIN = b"0123456789.;-+\r\n "
"""Bytes of plain numbers and between them."""
_WORD = re.compile(rb"[^\s;]*[^-+0-9.\s;][^\s;]*")
_EXPONENT = re.compile(rb"[-+]?[0-9.]+[eE][-+]?[0-9]+")


def look_at_csv(content: Content) -> Look:
    """Count rows and separators; search for texts that are no finite numbers."""
    head = content.at(0, 512)
    if head.startswith(b"sensor;"):
        return _mobotix(content, head)
    return _plain(content)


def _mobotix(content: Content, head: bytes) -> Look:
    """Rows are counted, and values in the first and the last, where a cut shows; texts are found.

    Not seen: rows in between that are too long, or too short by a few values, and what is no number
    without a letter, such as 1.2.3 or an empty cell. `inspect: full` finds these.
    """
    begin = _body(head)
    match = _SIZE.search(head, 0, begin or len(head))
    if match is None:
        return Look(fault="truncated: ends in its header" if content.size < 512 else _NO_SIZE)
    if not begin or begin == content.size:
        return Look(fault="truncated: has a header, and no values")
    whole = content.at(0, content.size)
    width, height = int(match[1]), int(match[2])
    end = len(whole) - 1 if whole.endswith(b"\n") else len(whole)
    rows = _num_rows(whole, begin, end, 2 * width - 1)
    ends = (whole.find(b"\n", begin), whole.rfind(b"\n", begin, end) + 1 or begin)
    first = whole.count(b";", begin, ends[0] if ends[0] > 0 else end) + 1
    last = whole.count(b";", ends[1], end) + 1
    shape = f"{height}x{width}"
    if rows != height or first != width or last != width:
        code = "truncated" if rows < height or (rows == height and last < width) else "shape"
        found = f"{rows} rows, the first of {first} and the last of {last} values"
        return Look(shape, "csv", f"{code}: {found}, {height} x {width} by its header")
    fault = _value_fault(whole, begin)
    return Look(shape, "csv", fault or _constant(whole, begin))


def _num_rows(whole: bytes, begin: int, end: int, shortest: int) -> int:
    """Rows of at least `shortest` bytes; jumping over these is much faster than counting."""
    rows = 1
    find, at = whole.find, begin + shortest
    while (at := find(b"\n", at, end)) >= 0:
        rows += 1
        at += 1 + shortest
    return rows


_NO_SIZE = "unreadable: its header gives no width and height"


def _body(head: bytes) -> int:
    """First byte of the values; 0 where the header does not end."""
    for blank in (b"\n\n", b"\n\r\n"):
        at = head.find(blank)
        if at >= 0:
            return at + len(blank)
    return 0


def _value_fault(whole: bytes, begin: int) -> str:
    """The first text that is no number: one pass over the bytes, at half the cost of the digest.

    Counting the separators of all rows would cost twice the digest.
    """
    if len(whole.translate(None, _PLAIN)) == len(whole[:begin].translate(None, _PLAIN)):
        return ""
    for match in _WORD.finditer(whole, begin):
        word = match[0].decode("latin1")
        if "n" in word.lower():
            return f"nan: has {word!r}"
        if not _EXPONENT.fullmatch(match[0]):
            return f"unreadable: has {word!r}, which is no number"
    return ""


def _constant(whole: bytes, begin: int) -> str:
    end = whole.find(b"\n", begin)
    first = whole[begin : end + 1]
    if whole[end + 1 : end + 1 + len(first)] != first:  # of a constant table all rows are equal
        return ""
    values = set(whole[begin:].replace(b"\r", b"").replace(b"\n", b";").split(b";")) - {b""}
    return f"constant: all values are {values.pop().decode('latin1')}" if len(values) == 1 else ""


def _plain(content: Content) -> Look:
    """The last row must have as many separators as the one before it."""
    tail = content.tail(_CHUNK).rstrip(b"\r\n").splitlines()[-2:]
    if content.size <= _CHUNK and b"\0" in content.at(0, content.size):
        return Look(fault="unreadable: has NUL bytes, so it is no text")
    if len(tail) == 2:
        for mark in (b";", b","):
            if tail[0].count(mark) > tail[1].count(mark):
                found, need = tail[1].count(mark) + 1, tail[0].count(mark) + 1
                return Look("", "csv", f"truncated: the last row has {found} of {need} values")
    return Look("", "csv")


def look_at_raw(content: Content, name: str) -> Look:
    """A raw frame of 16-bit numbers, whose size stands in its name; other names are not checked."""
    match = _RAW.search(name)
    if match is None:
        return Look()
    width, height = int(match[1]), int(match[2])
    shape, need = f"{height}x{width}", height * width * 2
    if content.size != need:
        code = "truncated" if content.size < need else "shape"
        return Look(shape, "uint16", f"{code}: {content.size} bytes, {need} by its name")
    is_flat = is_constant(content, 0, content.size, 2)
    return Look(shape, "uint16", "constant: all values are equal" if is_flat else "")
