"""Zarr groups and arrays, versions 2 and 3, OME-Zarr among them, as sources of arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Attributes, Key, Source
from hpctrain.formats.packages import need
from hpctrain.formats.shard_reader import ShardedArray, is_readable
from hpctrain.index.scroll.folders import ZARR_PAGES


def open_zarr(path: Path) -> Source:
    """All arrays of a group, by their path in it.

    Of an OME-Zarr the resolutions come first, and the highest is taken by default.

    Arrays that were written by this package are read by `ShardedArray`, all others by the zarr
    library; both give the same numbers.

    Raises:
        DataError: cannot be opened, or holds no array of numbers.
    """
    zarr = need("zarr", path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on data types without a specification, and the like
            node = zarr.open(str(path), mode="r")
            found = dict(_arrays(zarr, node))
    except Exception as e:  # zarr has no common base class for what can be wrong
        raise DataError(f"{path}: zarr cannot open it ({e}); fetch or write it again") from e
    arrays = [_array(path, name, array) for name, array in found.items()]
    if not arrays:
        raise DataError(f"{path}: this Zarr group holds no array of numbers")
    attributes = dict(node.attrs)
    levels = _ome_levels(attributes)
    own = [a for level in levels for a in arrays if a.name == level]
    arrays = [*own, *(a for a in arrays if a not in own)]
    files = [path / page for page in (*ZARR_PAGES, ".zattrs") if (path / page).is_file()]
    kind = f"{'OME-Zarr' if levels else 'Zarr'} version {node.metadata.zarr_format}"
    default = (own[0].name,) if own else ()
    return Source(path, kind, tuple(arrays), tuple(files), _plain(attributes), default)


def _arrays(zarr: Any, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, zarr.Array):
        yield "volume", node
        return
    members = node.members(max_depth=None)
    for name, member in sorted(members, key=lambda item: item[0]):
        if isinstance(member, zarr.Array) and member.ndim and member.dtype.kind in "uifb":
            yield name, member


def _array(path: Path, name: str, array: Any) -> Array:
    folder = path / name if array.path else path
    own = np.dtype(array.dtype).newbyteorder("=")
    attributes = dict(array.attrs)
    names = getattr(array.metadata, "dimension_names", None) or attributes.get("_ARRAY_DIMENSIONS")
    names = names or ("channel", "z", "y", "x")[-array.ndim :]
    if len(names) != array.ndim:
        names = tuple(f"axis{i}" for i in range(array.ndim))
    channels = tuple(attributes.get("channels", ()))
    if names[0] == "channel" and len(channels) != array.shape[0]:
        channels = tuple(f"channel_{c}" for c in range(array.shape[0]))
    tables = tuple(attributes.get("channel_attributes", ()))

    def read_by_library(key: Key) -> NDArray[Any]:
        return np.asarray(array[key]).astype(own, copy=False)

    read = ShardedArray(folder).read if is_readable(folder) else read_by_library
    return Array(
        name,
        tuple(array.shape),
        own,
        read,
        tuple(str(n) for n in names),
        channels=channels,
        channel_attributes=tables if len(tables) == len(channels) else (),
        coordinates={k: tuple(v) for k, v in attributes.get("coordinates", {}).items()},
        attributes=_plain(attributes),
        block=tuple(array.chunks),
        folder=folder,
    )


def _ome_levels(attributes: dict[str, Any]) -> list[str]:
    """Paths of the resolutions, the highest first; OME-Zarr 0.5 keeps them one level deeper."""
    scales = attributes.get("multiscales") or attributes.get("ome", {}).get("multiscales")
    try:
        return [str(level["path"]) for level in scales[0]["datasets"]] if scales else []
    except (KeyError, TypeError, IndexError):
        return []


def _plain(attributes: dict[str, Any]) -> Attributes:
    return {k: v for k, v in attributes.items() if isinstance(v, str | int | float)}
