"""Which arrays of a file are fields, and which of their dimensions is r, lat, lon or x, y, z.

Shared by both halves: the index asks it about headers, the readers about open files.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from hpctrain.errors import DataError
from hpctrain.index.headers.arrays import ArrayHeader, FileHeader

AXES: dict[str, tuple[str, str, str]] = {"sphere": ("r", "lat", "lon"), "box": ("x", "y", "z")}
NAMES = {
    "r": ("r", "radius", "rad"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "longitude"),
}
PACKING = ("scale_factor", "add_offset")


@dataclass(frozen=True)
class Layout:
    """The fields of one file and the order of its axes."""

    arrays: tuple[ArrayHeader, ...]
    """In channel order."""
    order: tuple[int, int, int]
    """Position in the file of (r, lat, lon) or (x, y, z), not counting a leading channel axis."""
    shape: tuple[int, int, int]
    """Cells along (r, lat, lon) or (x, y, z)."""
    dims: tuple[str, str, str]
    """The file's own names of these axes; r, lat, lon or x, y, z where it has none."""
    num_channels: int

    @property
    def slow_axis(self) -> int:
        """Which of (r, lat, lon) or (x, y, z) has its cells farthest apart in the file."""
        return self.order.index(2 if self.arrays[0].fortran else 0)


def layouts_of(
    headers: Sequence[FileHeader], geometry: str, variables: Sequence[str]
) -> tuple[Layout, ...]:
    """Find the fields of the files that make up one sample.

    Args:
        headers: one a pattern, with their arrays (for HDF5 the reader fills them in).
        geometry: 'sphere' or 'box'.
        variables: wanted variables in channel order, empty: all that lie on the grid. With several
            files each gives those that it has. For npy files they are names of the channels.

    Raises:
        DataError: no such variable, no such dimensions, grids that differ, or an unknown layout.
    """
    twice = sorted({v for v in variables if list(variables).count(v) > 1})
    if twice:
        raise DataError(f"data.variables: {', '.join(twice)} is given twice; name each once")
    if len(headers) == 1:
        return (_layout_of(headers[0], geometry, variables),)
    layouts = []
    for header in headers:
        own = [v for v in variables if header.array(v)]
        if variables and not own and header.kind != "npy":
            raise DataError(
                f"{header.path}: has none of data.variables {', '.join(variables)}; "
                f"it has {_describe(header.arrays)}"
            )
        layouts.append(_layout_of(header, geometry, own))
    in_files = {a.name for h in headers for a in h.arrays}
    lost = [v for v in variables if v not in in_files]
    if lost and all(h.kind != "npy" for h in headers):
        raise DataError(f"data.variables: {', '.join(lost)} in none of {_files(headers)}")
    if len({layout.shape for layout in layouts}) > 1:
        shapes = [" x ".join(map(str, layout.shape)) for layout in layouts]
        raise DataError(
            f"fields of one sample differ in their grid: {', '.join(shapes)} in {_files(headers)}; "
            "give fields of one shape"
        )
    return tuple(layouts)


def channel_names(
    layouts: Sequence[Layout], patterns: Sequence[str], variables: Sequence[str], is_input: bool
) -> tuple[str, ...]:
    """Names of the channels: the variables; for npy `variables`, or made from the patterns.

    Args:
        layouts: one a file of the sample.
        patterns: the pattern of each file.
        variables: the option `data.variables`.
        is_input: low-resolution files, which may have other channels than the targets.

    Raises:
        DataError: `variables` does not name each channel of the npy files.
    """
    names: list[str] = []
    for layout, pattern in zip(layouts, patterns, strict=True):
        own = [a.name for a in layout.arrays]
        if own == [""]:
            label, count = label_of(pattern), layout.num_channels
            own = [label] if count == 1 else [f"{label}_{c}" for c in range(count)]
        names.extend(own)
    if all(layout.arrays[0].name == "" for layout in layouts) and variables:
        if len(variables) == len(names):
            return tuple(variables)
        if not is_input:
            raise DataError(
                f"data.variables: {len(variables)} names for {len(names)} channels of the npy "
                f"files of {', '.join(patterns)}; name each channel, or none"
            )
    return tuple(names)


def _layout_of(header: FileHeader, geometry: str, variables: Sequence[str]) -> Layout:
    if header.kind == "npy":
        return _npy_layout(header, geometry)
    on_grid = [a for a in header.arrays if _is_field(a, geometry)]
    if variables:
        arrays = tuple(_choose(header.path, on_grid, header.arrays, name) for name in variables)
    else:
        arrays = tuple(on_grid)
    if not arrays:
        raise DataError(
            f"{header.path}: no variable lies on a grid of {', '.join(AXES[geometry])}; "
            f"found {_describe(header.arrays)}; name them with data.variables"
        )
    for array in arrays:
        _check_plain(header.path, array)
    return _grid_layout(header.path, geometry, arrays)


def label_of(pattern: str) -> str:
    """Name of a field that has none of its own: its pattern without wildcards and suffix."""
    for part in reversed(PurePath(pattern).with_suffix("").parts):
        text = "".join(c for c in part if c not in "*?[]!").strip("-_. ")
        if text:
            return text
    return "field"


def _npy_layout(header: FileHeader, geometry: str) -> Layout:
    (array,) = header.arrays
    if len(array.shape) not in (3, 4) or 0 in array.shape:
        raise DataError(
            f"{header.path}: shape {list(array.shape)}; give (C, {', '.join(AXES[geometry])}) "
            f"or ({', '.join(AXES[geometry])})"
        )
    channels = array.shape[0] if len(array.shape) == 4 else 1
    n0, n1, n2 = array.shape[-3:]
    return Layout((array,), (0, 1, 2), (n0, n1, n2), AXES[geometry], channels)


def is_on_sphere(array: ArrayHeader) -> bool:
    """Whether an array has the dimensions r, lat and lon, by the names that are in use."""
    return _is_field(array, "sphere")


def _is_field(array: ArrayHeader, geometry: str) -> bool:
    dims = _spatial(array)[0]
    if len(dims) != 3 or 0 in array.shape:
        return False
    return geometry == "box" or all(
        any(d.lower() in NAMES[a] for d in dims) for a in AXES["sphere"]
    )


def _spatial(array: ArrayHeader) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and sizes without leading dimensions of size 1 (a time axis with one step)."""
    extra = max(len(array.shape) - 3, 0)
    if any(n != 1 for n in array.shape[:extra]):
        return (), ()
    names = array.dims or ("",) * len(array.shape)
    return names[extra:], array.shape[extra:]


def _choose(
    path: PurePath, fields: list[ArrayHeader], everything: Sequence[ArrayHeader], name: str
) -> ArrayHeader:
    found = next((a for a in fields if a.name == name), None)
    if found is not None:
        return found
    other = next((a for a in everything if a.name == name), None)
    if other is not None:
        raise DataError(
            f"{path}: variable {name!r} has dimensions {_describe([other])}; give variables on a "
            "grid of r, lat, lon (sphere) or three dimensions (box), one time step a file"
        )
    names = [a.name for a in fields]
    near = difflib.get_close_matches(name, names, 1)
    hint = f". Did you mean {near[0]!r}?" if near else ""
    raise DataError(f"{path}: no variable {name!r}; choose from {', '.join(names)}{hint}")


def _check_plain(path: PurePath, array: ArrayHeader) -> None:
    """Refuse what would be read as wrong numbers."""
    if array.dtype[1] not in "fiu":
        raise DataError(f"{path}: variable {array.name!r} holds text; give numbers")
    if not array.contiguous:
        raise DataError(
            f"{path}: variable {array.name!r} lies apart in the file (an unlimited dimension with "
            "several records); rewrite it with fixed dimensions, such as by nccopy -u"
        )
    packed = [k for k in PACKING if k in array.attributes]
    if packed:
        raise DataError(
            f"{path}: variable {array.name!r} is packed ({', '.join(packed)}); unpack it first, "
            "such as by ncpdq -U"
        )


def _grid_layout(path: PurePath, geometry: str, arrays: tuple[ArrayHeader, ...]) -> Layout:
    dims, sizes = _spatial(arrays[0])
    for array in arrays[1:]:
        if _spatial(array) != (dims, sizes):
            raise DataError(
                f"{path}: variables differ in their grid: {_describe([arrays[0], array])}; "
                "choose variables of one grid with data.variables"
            )
    order = (0, 1, 2)
    if geometry == "sphere":
        lower = [d.lower() for d in dims]
        r, lat, lon = (next(lower.index(n) for n in NAMES[a] if n in lower) for a in AXES["sphere"])
        order = (r, lat, lon)
    a, b, c = ((sizes[i], dims[i] or AXES[geometry][k]) for k, i in enumerate(order))
    return Layout(arrays, order, (a[0], b[0], c[0]), (a[1], b[1], c[1]), len(arrays))


def _files(headers: Sequence[FileHeader]) -> str:
    return ", ".join(h.path.name for h in headers)


def _describe(arrays: Sequence[ArrayHeader]) -> str:
    texts = []
    for array in arrays:
        dims = array.dims or ("?",) * len(array.shape)
        sizes = ", ".join(f"{d} {n}" for d, n in zip(dims, array.shape, strict=True))
        texts.append(f"{array.name} ({sizes})")
    return ", ".join(texts) or "no arrays"
