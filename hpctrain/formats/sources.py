"""Find out what a path holds, and open it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.errors import ConfigError, DataError, HpctrainError
from hpctrain.formats.array import Array, Source
from hpctrain.formats.cosmoflow import is_cosmoflow, open_cosmoflow
from hpctrain.formats.fields import open_fields
from hpctrain.formats.picture import open_picture
from hpctrain.formats.scroll import open_layers, open_volpkg
from hpctrain.formats.stack import open_stack
from hpctrain.formats.zarr_store import open_zarr
from hpctrain.index.headers.file import HDF5_MAGIC
from hpctrain.index.scroll.folders import SUFFIXES, is_volpkg, is_zarr, layers_of

Reader = Callable[[Path], Any]
KNOWN = (
    "npy, NetCDF, HDF5, TIFF files; folders of TIFF layers, fragments, .volpkg packages, Zarr and "
    "OME-Zarr groups; or name your own reader with --reader"
)


def open_source(path: Path, reader: Reader | None = None, variables: Sequence[str] = ()) -> Source:
    """Open whatever a path holds.

    Args:
        path: file or folder.
        reader: class of the user's own; see docs/how-to/bring-my-own-format.md.
        variables: variables that are wanted of a file of fields.

    Raises:
        DataError: does not exist, is of no known format, or is damaged.
    """
    if not path.exists():
        raise DataError(f"{path}: does not exist; give {KNOWN}")
    if reader is not None:
        return own_source(path, reader)
    return _open_folder(path) if path.is_dir() else _open_file(path, variables)


def _open_folder(path: Path) -> Source:
    if is_zarr(path):
        return open_zarr(path)
    if is_volpkg(path):
        return open_volpkg(path)
    layers = layers_of(path)
    if layers is None:
        raise DataError(f"{path}: is a folder of no known layout; give {KNOWN}")
    return open_layers(path, layers)


def _open_file(path: Path, variables: Sequence[str]) -> Source:
    if path.suffix.lower() in SUFFIXES:
        return Source(path, "TIFF file", (open_stack("volume", [path]),), (path,))
    if path.suffix.lower() == ".png":
        return Source(path, "picture", (open_picture("picture", path),), (path,))
    try:
        with path.open("rb") as f:
            magic = f.read(8)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}") from e
    if magic == HDF5_MAGIC and is_cosmoflow(path):
        return open_cosmoflow(path)
    return open_fields(path, variables)


def own_source(path: Path, reader: Reader) -> Source:
    """A source from a reader of the user's own.

    Args:
        path: what the reader is given.
        reader: called with the path; has `shape`, `dtype` and `read(key)`, and may have `axes`,
            `channels`, `units`, `coordinates`, `attributes`, `block` and `files`.

    Raises:
        ConfigError: it lacks one of the three, or they do not fit together.
    """
    name = getattr(reader, "__qualname__", repr(reader))
    try:
        return _described(path, reader(path), name)
    except HpctrainError:
        raise
    except Exception as e:  # a user's class can raise anything
        raise ConfigError(
            f"--reader: {name} says of {path} what makes no array: {type(e).__name__}: {e} "
            "(--debug shows where)"
        ) from e


def _described(path: Path, own: Any, name: str) -> Source:
    lacking = [part for part in ("shape", "dtype", "read") if not hasattr(own, part)]
    if lacking:
        raise ConfigError(f"--reader: {name} has no {', '.join(lacking)}; see its how-to page")
    shape = tuple(int(n) for n in own.shape)
    if not shape:
        raise ConfigError(f"--reader: {name} gives a shape without axes; see its how-to page")
    axes = tuple(getattr(own, "axes", ())) or _axes(len(shape))
    channels = tuple(getattr(own, "channels", ()))
    if axes[0] == "channel" and not channels:
        channels = tuple(f"channel_{c}" for c in range(shape[0]))
    units = tuple(getattr(own, "units", ()))
    block = tuple(getattr(own, "block", ()))
    for part, found, wanted in (
        ("axes", len(axes), len(shape)),
        ("channels", len(channels), shape[0] if axes[0] == "channel" else 0),
        ("units", len(units), len(units) and len(channels)),
        ("block", len(block), len(block) and len(shape)),
    ):
        if found != wanted:
            raise ConfigError(
                f"--reader: {name} gives {found} {part}; for shape {list(shape)} it takes {wanted}"
            )
    array = Array(
        "volume" if not channels else "fields",
        shape,
        np.dtype(own.dtype).newbyteorder("="),
        _checked(own.read, name, path),
        axes,
        channels=channels,
        channel_attributes=tuple({"units": str(unit)} for unit in units),
        coordinates={k: tuple(map(float, v)) for k, v in getattr(own, "coordinates", {}).items()},
        attributes=dict(getattr(own, "attributes", {})),
        block=block,
    )
    files = tuple(Path(f) for f in getattr(own, "files", ())) or _files(path)
    return Source(path, f"read by {name}", (array,), files, array.attributes)


def _axes(count: int) -> tuple[str, ...]:
    return ("channel", "z", "y", "x")[-count:] if count <= 4 else tuple(map(str, range(count)))


def _files(path: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in path.rglob("*") if p.is_file())) if path.is_dir() else (path,)


def _checked(read: Callable[[Any], Any], name: str, path: Path) -> Callable[[Any], Any]:
    """Refuse an answer of another shape than was asked for, before it is written anywhere."""

    def call(key: tuple[slice, ...]) -> Any:
        try:
            values = np.asarray(read(key))
        except HpctrainError:
            raise
        except Exception as e:  # a user's class can raise anything
            region = ", ".join(f"{part.start}:{part.stop}" for part in key)
            raise DataError(
                f"{path}: {name}.read, given with --reader, failed on [{region}]: "
                f"{type(e).__name__}: {e} (--debug shows where)"
            ) from e
        wanted = tuple(part.stop - part.start for part in key)
        if values.shape != wanted:
            raise ConfigError(
                f"--reader: {name}.read gave an array of shape {list(values.shape)}, "
                f"where {list(wanted)} was asked for"
            )
        return values

    return call
