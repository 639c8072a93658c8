"""One open volume with its pictures: any box of cells, and what lies over it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Array
from hpctrain.formats.npy import mapped_npy
from hpctrain.formats.npz import open_npz
from hpctrain.formats.picture import open_picture
from hpctrain.formats.stack import open_stack
from hpctrain.formats.zarr_store import open_zarr
from hpctrain.index.headers.file import read_header
from hpctrain.index.scroll.region import Box, Triple
from hpctrain.index.table import Row
from hpctrain.index.windows.place import window_of

Plane = NDArray[np.bool_]


class ScrollVolume:
    """The cells of one volume that a split may use; safe for threads."""

    def __init__(self, root: Path, rows: Sequence[Row], names: dict[str, str | None]) -> None:
        """Open it.

        Args:
            root: folder that the rows' paths are relative to.
            rows: all of one volume and one split.
            names: pictures that may be arrays of a Zarr group, by labels, mask and infrared.

        Raises:
            DataError: a file that cannot be read, or a picture of another size.
        """
        self.source = rows[0]["source"]
        self._root, self._rows, self._names = root, rows, names
        self._layers: list[int] | None = None
        self._inside: dict[str, Array] = {}
        self._array = self._open()
        self.boxes = _boxes(rows)
        z, y, x = self._array.shape
        self.plane: tuple[int, int] = (y, x)
        """Rows and columns."""
        self.labels = self._picture("labels")
        self.mask = self._picture("mask")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the grey values."""
        return self._array.dtype

    def read(self, start: Triple, size: Triple) -> NDArray[Any]:
        """Grey values of a box, (z, y, x), as they are stored."""
        z, y, x = start
        if self._layers is not None:
            z = bisect_left(self._layers, z)
        first = (z, y, x)
        key = tuple(slice(a, a + n) for a, n in zip(first, size, strict=True))
        return self._array.read(key)

    def paths(self) -> list[Path]:
        """All files."""
        names = {n for row in self._rows for m in row.columns.modalities for n in row.paths(m)}
        return [self._root / name for name in sorted(names)]

    def _open(self) -> Array:
        row = self._rows[0]
        if row["layout"] == "layers":
            return self._open_layers()
        path = self._root / (row["source"] if row["layout"] == "zarr" else row.paths("volume")[0])
        if row["layout"] == "zarr":
            source = open_zarr(path)
            self._inside = {array.name: array for array in source.arrays}
            return source.array(row["array"])
        if path.suffix == ".npz":
            return _as_volume(open_npz(path, row["array"]))
        if path.suffix == ".npy":
            return _as_volume(_open_npy(path))
        return open_stack("volume", [path])

    def _open_layers(self) -> Array:
        """Layers of all rows; those between the boxes are not there."""
        files: dict[int, str] = {}
        for row in self._rows:
            files.update(enumerate(row.paths("volume"), int(row["z"])))
        self._layers = sorted(files)
        return open_stack("volume", [self._root / files[z] for z in self._layers])

    def _picture(self, key: str) -> Plane | None:
        name = self._names.get(key)
        if name is None:
            return None
        files = self._rows[0].paths(key)
        if files:
            picture = open_picture(name, self._root / files[0])
        elif name in self._inside:
            picture = self._inside[name]
        else:
            return None
        if picture.shape != self.plane:
            raise DataError(
                f"{self._root / (files[0] if files else self.source)}: {name} has "
                f"{' x '.join(map(str, picture.shape))} pixels (y, x), and the layers "
                f"{self.plane[0]} x {self.plane[1]}; give pictures of the layers' size"
            )
        return is_set(picture[:])


def is_set(values: NDArray[Any]) -> Plane:
    """Pixels of a label or mask that are set: 1 of 0 and 1, 255 of 0 and 255."""
    found: Plane = values > values.max(initial=0) / 2
    return found


def _boxes(rows: Sequence[Row]) -> list[Box]:
    """The boxes of cells of some rows, each over all of its rows."""
    found: dict[str, list[Box]] = {}
    for row in rows:
        window = window_of(row)
        assert window is not None
        a, b, c = window.start
        d, e, f = (s + n for s, n in zip(*window, strict=True))
        found.setdefault(row["box"], []).append(Box((a, b, c), (d, e, f)))
    joined = []
    for parts in found.values():
        first = min(part.start[0] for part in parts)
        last = max(part.stop[0] for part in parts)
        _, b, c = parts[0].start
        _, e, f = parts[0].stop
        joined.append(Box((first, b, c), (last, e, f)))
    return joined


def _open_npy(path: Path) -> Array:
    header = read_header(path)
    values = mapped_npy(header)
    kind = values.dtype.newbyteorder("=")

    def read(key: tuple[slice, ...]) -> NDArray[Any]:
        return np.ascontiguousarray(values[key], kind)

    return Array("volume", values.shape, kind, read, ("z", "y", "x")[-values.ndim :])


def _as_volume(array: Array) -> Array:
    """A single picture as a volume of one layer."""
    if len(array.shape) == 3:
        return array
    shape = (1, *array.shape)
    return Array(
        array.name, shape, array.dtype, lambda key: array.read(key[1:])[None], ("z", "y", "x")
    )
