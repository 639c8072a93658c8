"""Which arrays of the sources are stored, which part of them, and under which names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from hpctrain.convert.options import Options, Range
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.array import Array, Source, cropped, with_channels
from hpctrain.formats.sources import open_source

Named = list[tuple[str, Array]]


def open_sources(options: Options) -> list[Source]:
    """Open the sources that `steps` leaves.

    Raises:
        DataError: a source that cannot be opened, or none is left.
    """
    paths = options.sources[slice(*options.steps)]
    if not paths:
        raise ConfigError(f"--steps: none of {len(options.sources)} sources is left")
    return [open_source(path, options.reader, options.variables) for path in paths]


def select(sources: Sequence[Source], options: Options) -> Named:
    """The arrays that are stored, by the name of their file or their path in a group.

    Raises:
        DataError: an unknown variable, or two arrays of one name.
    """
    named: Named = []
    for source in sources:
        arrays = [_crop(a, options.crop) for a in _choose(source, options.variables)]
        for array in arrays:
            named.append((_name(source, array, len(sources), len(arrays), options.to), array))
    seen: set[str] = set()
    for name, _ in named:
        if name in seen:
            raise ConfigError(
                f"two sources would be stored as {name!r}; rename one, or convert them one by one"
            )
        seen.add(name)
    return named


def _choose(source: Source, variables: Sequence[str]) -> list[Array]:
    if not variables:
        return [a for a in source.arrays if not source.default or a.name in source.default]
    twice = sorted({v for v in variables if list(variables).count(v) > 1})
    if twice:
        raise ConfigError(f"--variable: {twice[0]!r} is given twice; name each once")
    fields = next((a for a in source.arrays if a.channels), None)
    if fields is not None and len(source.arrays) == 1:
        _check_known(source, variables, fields.channels)
        return [with_channels(fields, variables)]
    _check_known(source, variables, tuple(a.name for a in source.arrays))
    return [source.array(name) for name in variables]


def _check_known(source: Source, variables: Sequence[str], known: Sequence[str]) -> None:
    for name in variables:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f". Did you mean {near[0]!r}?" if near else ""
            raise DataError(
                f"{source.path}: has no variable {name!r}; choose from {', '.join(known)}{hint}"
            )


def _crop(array: Array, ranges: Sequence[Range]) -> Array:
    if not ranges:
        return array
    # a picture beside a volume is cut with it, by the ranges of its own axes
    space = len(array.axes) - bool(array.channels)
    own = ranges[-space:] if array.axes == ("y", "x") else ranges
    return cropped(array, own)


def _name(source: Source, array: Array, sources: int, arrays: int, to: str) -> str:
    stem = stem_of(source.path)
    if to == "npy":
        return stem if arrays == 1 else f"{stem}_{array.name}"
    is_volume = arrays == 1 and not array.channels and len(array.shape) == 3
    name = "volume" if is_volume else array.name
    return name if sources == 1 else f"{stem}/{name}"


def stem_of(path: Path) -> str:
    """Name of a source's file without its ending, of its folder as it is."""
    name = path.resolve().name
    endings = (".nc", ".h5", ".hdf5", ".npy", ".tif", ".tiff", ".png", ".zarr", ".volpkg", ".nc4")
    is_known = path.suffix.lower() in endings or not path.is_dir()
    return name.removesuffix(path.suffix) if is_known and path.suffix else name
