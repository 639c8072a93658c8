"""One array of a source: what it holds, and how a region of it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError

Key = tuple[slice, ...]
"""One slice an axis, with start and stop and without a step."""
Attributes = Mapping[str, str | float]


@dataclass(frozen=True)
class Array:
    """An array that is read region by region and is never whole in memory."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Key], NDArray[Any]]
    """Values of a region in the order of `axes`; may be called by several threads at once."""
    axes: tuple[str, ...]
    """Names of the axes, slowest first: `z, y, x`, `channel, r, lat, lon`, `y, x`."""
    channels: tuple[str, ...] = ()
    """Names along the first axis, if that is one of channels."""
    channel_attributes: tuple[Attributes, ...] = ()
    """Attributes of each channel, such as `units`."""
    coordinates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Positions of the cells, by axis."""
    attributes: Attributes = field(default_factory=dict)
    """Attributes of the array."""
    is_unnamed: bool = False
    """The channels have only their numbers for names, as in a plain npy file."""
    block: tuple[int, ...] = ()
    """Region that costs no more to read than any part of it; empty: no region is special."""
    folder: Path | None = None
    """Where its own files lie, if they are not among those of its source."""

    @property
    def num_bytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Values of slices without steps; axes that are left out are read whole."""
        parts = key if isinstance(key, tuple) else (key,)
        parts += (slice(None),) * (len(self.shape) - len(parts))
        if any(not isinstance(p, slice) or p.step not in (None, 1) for p in parts):
            raise TypeError("read arrays by slices without a step, and pick from the result")
        limits = (p.indices(n) for p, n in zip(parts, self.shape, strict=True))
        return self.read(tuple(slice(a, max(a, b)) for a, b, _ in limits))


def cropped(array: Array, ranges: Sequence[tuple[int | None, int | None]]) -> Array:
    """The part of an array within [start, stop) along its last axes.

    Args:
        array: the whole.
        ranges: of the last axes; None: from the beginning or up to the end.

    Raises:
        DataError: more ranges than axes, or a range that is empty or outside.
    """
    axes = array.axes[-len(ranges) :]
    if len(ranges) > len(array.axes) - bool(array.channels):
        raise DataError(
            f"--crop: {len(ranges)} ranges, but {array.name!r} has the axes "
            f"{', '.join(array.axes[bool(array.channels) :])}"
        )
    lead = len(array.axes) - len(ranges)
    starts, stops = [0] * lead, list(array.shape[:lead])
    for axis, size, (start, stop) in zip(axes, array.shape[lead:], ranges, strict=True):
        a, b = start or 0, size if stop is None else stop
        if not 0 <= a < b <= size:
            raise DataError(
                f"--crop: found {a}:{b} along {axis}, where {array.name!r} has {size} cells"
            )
        starts.append(a)
        stops.append(b)

    def read(key: Key) -> NDArray[Any]:
        moved = (slice(p.start + s, p.stop + s) for p, s in zip(key, starts, strict=True))
        return array.read(tuple(moved))

    shape = tuple(b - a for a, b in zip(starts, stops, strict=True))
    limits = dict(zip(array.axes, zip(starts, stops, strict=True), strict=True))
    coordinates = {k: v[slice(*limits[k])] for k, v in array.coordinates.items()}
    return replace(array, shape=shape, read=read, coordinates=coordinates)


def with_channels(array: Array, names: Sequence[str]) -> Array:
    """Some channels of an array, in the order of `names`."""
    places = [array.channels.index(name) for name in names]
    if places == list(range(len(array.channels))):
        return array

    def read(key: Key) -> NDArray[Any]:
        chosen = places[key[0]]
        low = min(chosen)
        whole = array.read((slice(low, max(chosen) + 1), *key[1:]))
        return whole[[place - low for place in chosen]]

    attributes = tuple(array.channel_attributes[p] for p in places if array.channel_attributes)
    block = (min(array.block[0], len(places)), *array.block[1:]) if array.block else ()
    return replace(
        array,
        shape=(len(places), *array.shape[1:]),
        read=read,
        channels=tuple(names),
        channel_attributes=attributes,
        is_unnamed=False,
        block=block,
    )


@dataclass(frozen=True)
class Source:
    """What a path holds."""

    path: Path
    kind: str
    """In words, for messages and the data card."""
    arrays: tuple[Array, ...]
    files: tuple[Path, ...]
    """Files that belong to it, for its digest, but for those in the folders of its arrays."""
    attributes: Attributes = field(default_factory=dict)
    default: tuple[str, ...] = ()
    """Arrays that are taken when none is named; empty: all."""

    def array(self, name: str | None = None) -> Array:
        """The array of that name, or the first of those that are taken by default."""
        wanted = name or next(iter(self.default), self.arrays[0].name)
        for array in self.arrays:
            if array.name == wanted:
                return array
        known = ", ".join(a.name for a in self.arrays)
        raise DataError(f"{self.path}: has no array {wanted!r}; choose from {known}")
