"""TIFF: dimensions of the first page, and whether the strips of all pages lie within the file.

Source: TIFF 6.0, sections 2 and 15 (tiles); BigTIFF as in libtiff's description.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hpctrain.index.quick.content import Content, Look

_FORMS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_KINDS = {1: "uint", 2: "int", 3: "float", 5: "complex"}
_MOST_PAGES = 100_000


class _Form(NamedTuple):
    """Byte order, and the widths of classic TIFF or BigTIFF."""

    order: str
    number: str
    entry: int
    address: str


class _BrokenError(Exception):
    """The file ends, or says nonsense."""


def look_at_tiff(content: Content) -> Look:
    """Follow the pages from the header; each strip and tile must end within the file."""
    head = content.at(0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = int.from_bytes(head[2:4], "little" if order == "<" else "big")
    if not order or version not in (42, 43):
        return Look(fault=f"unreadable: no TIFF, its first bytes are {head[:4]!r}")
    big = version == 43
    form = _Form(order, "Q", 20, "Q") if big else _Form(order, "H", 12, "I")
    look, num_pages, end = Look(), 0, 0
    try:
        at = _number(content, form, 8 if big else 4, form.address)
        seen: set[int] = set()
        while at and at not in seen and num_pages < _MOST_PAGES:
            seen.add(at)
            tags, following = _page(content, form, at)
            look = look if num_pages else _shape(tags)
            end = max(end, _end(tags))
            num_pages, at = num_pages + 1, following
    except _BrokenError as e:
        return look._replace(fault=f"truncated: {e}")
    if not num_pages:
        return Look(fault="truncated: its header names no page")
    if not look.shape or not end:
        return look._replace(fault="unreadable: its first page has no size, or no picture")
    if end > content.size:
        return look._replace(fault=f"truncated: {content.size} bytes, {end} by its strips")
    return look._replace(shape=f"{num_pages}x{look.shape}") if num_pages > 1 else look


def _page(content: Content, form: _Form, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """Tags of a page and the place of the next."""
    num = _number(content, form, at, form.number)
    if num * form.entry > content.size:
        raise _BrokenError(f"{content.size} bytes, and a page claims {num} tags")
    start = at + struct.calcsize(form.number)
    raw = content.at(start, num * form.entry)
    if len(raw) < num * form.entry:
        raise _BrokenError(f"ends after {content.size} bytes, in the tags of a page")
    wanted = (256, 257, 258, 273, 277, 279, 324, 325, 339)
    tags = {}
    for i in range(num):
        entry = raw[i * form.entry : (i + 1) * form.entry]
        tag, kind = struct.unpack_from(form.order + "HH", entry)
        if tag in wanted and kind in _FORMS:
            tags[tag] = _values(content, form, entry, kind)
    return tags, _number(content, form, start + num * form.entry, form.address)


def _values(content: Content, form: _Form, entry: bytes, kind: int) -> tuple[int, ...]:
    """Values of a tag, which stand in it where they are short."""
    (count,) = struct.unpack_from(form.order + form.address, entry, 4)
    room = struct.calcsize(form.address)
    size = count * struct.calcsize(f"={_FORMS[kind]}")
    if size > content.size:
        raise _BrokenError(f"{content.size} bytes, and a tag claims {size}")
    layout = f"{form.order}{count}{_FORMS[kind]}"
    raw = entry[4 + room :][:size]
    if size > room:
        raw = content.at(struct.unpack_from(form.order + form.address, entry, 4 + room)[0], size)
    if len(raw) < size:
        raise _BrokenError(f"ends after {content.size} bytes, in the values of a tag")
    return struct.unpack(layout, raw)


def _number(content: Content, form: _Form, at: int, kind: str) -> int:
    raw = content.at(at, struct.calcsize(kind))
    if len(raw) < struct.calcsize(kind):
        raise _BrokenError(f"{content.size} bytes, and its next page is at byte {at}")
    return int(struct.unpack(form.order + kind, raw)[0])


def _shape(tags: dict[int, tuple[int, ...]]) -> Look:
    width, height = (_first(tags, tag, 0) for tag in (256, 257))
    if not width or not height:
        return Look()
    samples = _first(tags, 277, 1)
    shape = f"{height}x{width}x{samples}" if samples > 1 else f"{height}x{width}"
    bits = _first(tags, 258, 1)
    dtype = "bool" if bits == 1 else f"{_KINDS.get(_first(tags, 339, 1), 'uint')}{bits}"
    return Look(shape, dtype)


def _first(tags: dict[int, tuple[int, ...]], tag: int, default: int) -> int:
    """First value of a tag; the default where it is not there, or has no values."""
    return (tags.get(tag) or (default,))[0]


def _end(tags: dict[int, tuple[int, ...]]) -> int:
    """One past the last byte of all strips and tiles."""
    parts = ((273, 279), (324, 325))
    ends = [
        offset + count
        for places, sizes in parts
        for offset, count in zip(tags.get(places, ()), tags.get(sizes, ()), strict=False)
    ]
    return max(ends, default=0)
