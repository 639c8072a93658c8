"""Writer of netCDF-3 files with 64-bit offsets, variables in the order given.

Unidata's "NetCDF classic and 64-bit offset file formats"; for variables of 4 GiB and more PnetCDF's
"CDF-5", whose counts have 64 bits. scipy's writer sorts the variables by name, and readers that
take channels by position rely on their order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Attributes = Mapping[str, str | int | float]

_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_CHAR, _INT, _DOUBLE = 2, 4, 6
_TYPES = {"f4": 5, "f8": 6}
_MOST_BYTES = 2**32 - 4
"""Of a variable, where counts have 32 bits."""


@dataclass(frozen=True)
class Variable:
    """One array, named."""

    name: str
    dimensions: tuple[str, ...]
    values: NDArray[np.floating]
    """Written in single or double precision, as they are."""
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """What the header says of a variable."""

    name: str
    dimensions: tuple[str, ...]
    kind: str
    """f4 or f8; stored with the high byte first."""
    attributes: Attributes = field(default_factory=dict)


def write(
    path: Path,
    dimensions: Mapping[str, int],
    variables: Sequence[Variable],
    attributes: Attributes,
) -> None:
    """Write a file, uncompressed and contiguous, so that readers can map it into memory.

    Args:
        path: of the new file.
        dimensions: lengths by name.
        variables: in the order in which they are listed and stored.
        attributes: of the whole file.
    """
    arrays = [np.ascontiguousarray(v.values, v.values.dtype.newbyteorder(">")) for v in variables]
    entries = [
        Entry(v.name, v.dimensions, a.dtype.str[1:], v.attributes)
        for v, a in zip(variables, arrays, strict=True)
    ]
    head, _ = header(dimensions, entries, attributes)
    with path.open("wb") as file:
        file.write(head)
        for array in arrays:
            file.write(array.data)


def header(
    dimensions: Mapping[str, int], entries: Sequence[Entry], attributes: Attributes
) -> tuple[bytes, list[int]]:
    """The header of a file, and where in the file each variable begins.

    Args:
        dimensions: lengths by name.
        entries: the variables, in the order in which they are listed and stored.
        attributes: of the whole file.
    """
    sizes = [
        int(e.kind[1:]) * math.prod(dimensions[name] for name in e.dimensions) for e in entries
    ]
    form = _Form(8 if max(sizes, default=0) > _MOST_BYTES else 4)
    offsets = [0] * len(entries)
    # The offsets do not change the header's length, which the offsets begin with.
    position = len(form.header(dimensions, entries, sizes, offsets, attributes))
    for number, size in enumerate(sizes):
        offsets[number] = position
        position += size
    return form.header(dimensions, entries, sizes, offsets, attributes), offsets


class _Form:
    """Pieces of a header whose counts have so many bytes."""

    def __init__(self, width: int) -> None:
        self._count = ">i" if width == 4 else ">q"
        self._magic = b"CDF\x02" if width == 4 else b"CDF\x05"
        self._most = 2 ** (8 * width - (0 if width == 4 else 1)) - 1
        self._size = ">I" if width == 4 else ">q"

    def header(
        self,
        dimensions: Mapping[str, int],
        entries: Sequence[Entry],
        sizes: Sequence[int],
        offsets: Sequence[int],
        attributes: Attributes,
    ) -> bytes:
        ids = {name: number for number, name in enumerate(dimensions)}
        variables = []
        for entry, size, offset in zip(entries, sizes, offsets, strict=True):
            shape = b"".join(self._number(ids[name]) for name in entry.dimensions)
            variables.append(
                self._text(entry.name)
                + self._number(len(entry.dimensions))
                + shape
                + self._attributes(entry.attributes)
                + struct.pack(">i", _TYPES[entry.kind])
                # The format says to ignore the size where its bits are too few.
                + struct.pack(self._size, min(size, self._most))
                + struct.pack(">q", offset)
            )
        axes = [self._text(name) + self._number(length) for name, length in dimensions.items()]
        lists = self._list(_DIMENSION, axes) + self._attributes(attributes)
        return self._magic + self._number(0) + lists + self._list(_VARIABLE, variables)

    def _number(self, value: int) -> bytes:
        return struct.pack(self._count, value)

    def _list(self, tag: int, entries: Sequence[bytes]) -> bytes:
        kind = tag if entries else 0
        return struct.pack(">i", kind) + self._number(len(entries)) + b"".join(entries)

    def _text(self, text: str) -> bytes:
        """Length, then the bytes, filled up to a multiple of four."""
        raw = text.encode()
        return self._number(len(raw)) + raw + b"\0" * (-len(raw) % 4)

    def _attributes(self, attributes: Attributes) -> bytes:
        found = [self._text(k) + self._value(v) for k, v in attributes.items()]
        return self._list(_ATTRIBUTE, found)

    def _value(self, value: str | int | float) -> bytes:
        if isinstance(value, str):
            return struct.pack(">i", _CHAR) + self._text(value)
        if isinstance(value, int):
            return struct.pack(">i", _INT) + self._number(1) + struct.pack(">i", value)
        return struct.pack(">i", _DOUBLE) + self._number(1) + struct.pack(">d", value)
