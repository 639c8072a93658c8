"""Writer of netCDF-3 files with 64-bit offsets, variables in the order given.

Unidata's "NetCDF classic and 64-bit offset file formats". scipy's writer sorts the variables by
name, and readers that take channels by position rely on their order.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Attributes = Mapping[str, str | int | float]

_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_CHAR, _INT, _DOUBLE = 2, 4, 6
_TYPES = {np.dtype(">f4"): 5, np.dtype(">f8"): 6}


@dataclass(frozen=True)
class Variable:
    """One array, named."""

    name: str
    dimensions: tuple[str, ...]
    values: NDArray[np.floating]
    """Written in single or double precision, as they are."""
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
    offsets = [0] * len(arrays)
    # The offsets do not change the header's length, which the offsets begin with.
    position = len(_header(dimensions, variables, arrays, offsets, attributes))
    for number, array in enumerate(arrays):
        offsets[number] = position
        position += array.nbytes
    with path.open("wb") as file:
        file.write(_header(dimensions, variables, arrays, offsets, attributes))
        for array in arrays:
            file.write(array.data)


def _header(
    dimensions: Mapping[str, int],
    variables: Sequence[Variable],
    arrays: Sequence[NDArray[np.floating]],
    offsets: Sequence[int],
    attributes: Attributes,
) -> bytes:
    ids = {name: number for number, name in enumerate(dimensions)}
    entries = []
    for variable, array, offset in zip(variables, arrays, offsets, strict=True):
        shape = [ids[name] for name in variable.dimensions]
        entries.append(
            _text(variable.name)
            + struct.pack(f">{len(shape) + 1}i", len(shape), *shape)
            + _attributes(variable.attributes)
            # The size field has 32 bits; the format says to ignore it where that is too few.
            + struct.pack(">iIq", _TYPES[array.dtype], min(array.nbytes, 2**32 - 1), offset)
        )
    axes = [_text(name) + struct.pack(">i", length) for name, length in dimensions.items()]
    no_records = struct.pack(">i", 0)
    lists = _list(_DIMENSION, axes) + _attributes(attributes) + _list(_VARIABLE, entries)
    return b"CDF\x02" + no_records + lists


def _list(tag: int, entries: Sequence[bytes]) -> bytes:
    if not entries:
        return struct.pack(">ii", 0, 0)
    return struct.pack(">ii", tag, len(entries)) + b"".join(entries)


def _text(text: str) -> bytes:
    """Length, then the bytes, filled up to a multiple of four."""
    raw = text.encode()
    return struct.pack(">i", len(raw)) + raw + b"\0" * (-len(raw) % 4)


def _attributes(attributes: Attributes) -> bytes:
    return _list(_ATTRIBUTE, [_text(k) + _value(v) for k, v in attributes.items()])


def _value(value: str | int | float) -> bytes:
    if isinstance(value, str):
        return struct.pack(">i", _CHAR) + _text(value)
    if isinstance(value, int):
        return struct.pack(">iii", _INT, 1, value)
    return struct.pack(">iid", _DOUBLE, 1, value)
