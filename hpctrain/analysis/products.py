"""Predictions and embeddings as files that say where they are from: npy, NetCDF, Zarr, TIFF, PNG.

Each is written under a temporary name, synced and renamed, so that no reader sees half of it. The
format libraries are imported where they are used.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hpctrain.errors import ConfigError
from hpctrain.provenance import Stamp, attributes, embed, read, seal
from hpctrain.provenance.sidecar import sidecar_path
from hpctrain.provenance.stamp import KEY, NO_DIGEST

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Labels:
    """What the numbers are.

    Attributes:
        name: of the quantity, such as `temperature`.
        axes: a name for each axis; empty: `axis_0` and so on.
        units: such as `K`; empty: none.
    """

    name: str = "values"
    axes: Sequence[str] = ()
    units: str = ""


def save_product(path: Path, array: Array, stamp: Stamp, labels: Labels | None = None) -> Stamp:
    """Write an array with its stamp, in the format that the suffix names.

    Args:
        path: .npy, .nc, .zarr, .tif, .tiff or .png; what is there is replaced.
        array: (any shape); .png takes (H, W) or (H, W, 3) in uint8, or (H, W) in uint16; .tif takes
            (H, W) or a stack of layers (D, H, W).
        stamp: such as `stamp_run(run_dir, "prediction", checkpoint=..., checkpoint_digest=...)`.
        labels: what the numbers are.

    Returns:
        The stamp as it is in the file, or beside it.

    Raises:
        ConfigError: the format does not take such an array, or its library is not installed.
    """
    labels = labels or Labels()
    axes = tuple(labels.axes) or tuple(f"axis_{i}" for i in range(array.ndim))
    if len(axes) != array.ndim:
        raise ConfigError(f"{path}: {len(axes)} axes are named, and the array has {array.ndim}")
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ConfigError(f"{path}: no writer for this suffix; choose from {', '.join(_WRITERS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        write(
            part, np.asarray(array), replace(stamp, content_digest=""), replace(labels, axes=axes)
        )
        if part.is_file():
            sync(part)
        found = read(part).stamp
        publish(part, path)
    finally:
        remove(part)
        sidecar_path(part).unlink(missing_ok=True)
    return found


def _write_npy(part: Path, array: Array, stamp: Stamp, labels: Labels) -> None:
    with part.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    embed(part, stamp)


def _write_netcdf(part: Path, array: Array, stamp: Stamp, labels: Labels) -> None:
    """NetCDF 3 with 64-bit offsets, which has no unsigned integers and no int64."""
    if array.dtype.kind not in "fi" or array.dtype.itemsize > (8 if array.dtype.kind == "f" else 4):
        raise ConfigError(f"NetCDF 3 takes no {array.dtype}; convert to float32, float64 or int32")
    netcdf_file = _library("scipy.io", "train").netcdf_file
    with netcdf_file(str(part), "w", version=2) as file:
        for key, text in attributes(replace(stamp, content_digest=NO_DIGEST)).items():
            setattr(file, key, text)
        for axis, size in zip(labels.axes, array.shape, strict=True):
            file.createDimension(axis, size)
        kind = np.float32 if array.dtype == np.float16 else array.dtype
        variable = file.createVariable(labels.name, kind, tuple(labels.axes))
        variable[...] = array
        if labels.units:
            variable.units = labels.units
    seal(part)


def _write_zarr(part: Path, array: Array, stamp: Stamp, labels: Labels) -> None:
    zarr = _library("zarr", "data")
    about = {"name": labels.name, **({"units": labels.units} if labels.units else {})}
    stored = zarr.create_array(
        part,
        shape=array.shape,
        dtype=array.dtype,
        dimension_names=list(labels.axes),
        attributes={**about, **attributes(stamp)},
    )
    stored[...] = array


def _write_tiff(part: Path, array: Array, stamp: Stamp, labels: Labels) -> None:
    if array.ndim not in (2, 3):
        raise ConfigError(f"TIFF takes (H, W) or (D, H, W), found {array.shape}")
    text = attributes(replace(stamp, content_digest=NO_DIGEST))[KEY]
    options = {"description": text, "metadata": None, "photometric": "minisblack"}
    _library("tifffile", "data").imwrite(part, array, **options)
    seal(part)


def _write_png(part: Path, array: Array, stamp: Stamp, labels: Labels) -> None:
    is_gray = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    is_color = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    if not (is_gray or is_color):
        raise ConfigError(
            f"PNG takes (H, W) in uint8 or uint16, or (H, W, 3) in uint8; found {array.shape} in "
            f"{array.dtype}"
        )
    image = _library("PIL.Image", "data")
    image.fromarray(np.ascontiguousarray(array)).save(part, format="PNG")
    embed(part, stamp)


_WRITERS: dict[str, Callable[[Path, Array, Stamp, Labels], None]] = {
    ".npy": _write_npy,
    ".nc": _write_netcdf,
    ".zarr": _write_zarr,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".png": _write_png,
}


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"{name}: is not installed; install it with: pip install 'hpctrain[{extra}]'"
        ) from e


def sync(path: Path) -> None:
    """Let a file reach the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def publish(part: Path, path: Path) -> None:
    """Rename; the sidecar first, as one that is ahead of its file only says that it differs.

    Raises:
        ConfigError: a folder is there that is no Zarr group.
    """
    if is_foreign_folder(path) or (path.is_dir() and not part.is_dir()):
        raise ConfigError(f"{path}: is a folder of something else; give another place")
    if sidecar_path(part).is_file():
        sidecar_path(part).replace(sidecar_path(path))
    if path.is_dir():
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        path.rename(old)
        part.rename(path)
        shutil.rmtree(old)
    else:
        part.replace(path)


def is_foreign_folder(path: Path) -> bool:
    """Whether a folder is there that no product would be replaced in."""
    return path.is_dir() and not (path.suffix == ".zarr" and (path / "zarr.json").is_file())


def remove(part: Path) -> None:
    """Take away what was not finished, if it is there."""
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)
