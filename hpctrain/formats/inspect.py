"""Decode a file as a training would, and say whether its values can be learned from."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import ConfigError

Found = tuple[str, str, str]
"""Shape such as 2048x6144x3, type such as uint8, and `code: what was found` or an empty text."""
Arrays = Iterator[tuple[str, NDArray[Any]]]
_CELLS = 1 << 24
"""Cells that are looked at at a time."""


def inspect_file(path: str) -> Found:
    """Decode a file of any known kind; others are not looked at.

    Args:
        path: jpg, png, tif, npy, csv, raw (Mobotix), nc or hdf5, by the end of its name.

    Raises:
        ConfigError: a library is missing.
    """
    opener = _OPENERS.get(os.path.splitext(path)[1].lower())
    if opener is None:
        return "", "", ""
    try:
        found = [_look(name, array) for name, array in opener(path)]
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"--inspect full: needs the package {e.name!r}; install it with: "
            "pip install 'hpctrain[data]'"
        ) from e
    except Exception as e:  # noqa: BLE001 - decoders raise whatever they like about a broken file
        return "", "", f"unreadable: {type(e).__name__}: {e}".replace("\n", " ")
    if not found:
        return "", "", ""
    largest = max(found, key=lambda one: one[3])
    fault = next((one[2] for one in found if one[2]), "")
    return largest[0], largest[1], fault


def _look(name: str, array: NDArray[Any]) -> tuple[str, str, str, int]:
    """Shape, type, fault and cells of one array; pieces keep the memory small."""
    shape = "x".join(map(str, array.shape)) or "1"
    fault = ""
    if array.dtype.kind in "fiubc" and array.size > 1:
        flat = array.reshape(-1)
        low, high = [], []
        for start in range(0, flat.size, _CELLS):
            piece = np.asarray(flat[start : start + _CELLS])
            if piece.dtype.kind in "fc" and not np.isfinite(piece).all():
                at = start + int(np.argmin(np.isfinite(piece)))
                fault = f"nan: {name}has {flat[at]} at cell {at}"
                break
            low.append(piece.min())
            high.append(piece.max())
        if not fault and min(low) == max(high) and (not name or array.ndim > 1):
            fault = f"constant: {name}all values are {low[0]}"
    return shape, array.dtype.name, fault, int(array.size)


def _picture(path: str) -> Arrays:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # layers of scrolls are larger than what Pillow takes for a bomb
    with Image.open(path) as image:
        yield "", np.asarray(image)


def _tiff(path: str) -> Arrays:
    import tifffile

    yield "", tifffile.imread(path)


def _npy(path: str) -> Arrays:
    yield "", np.load(path, mmap_mode="r")


def _raw(path: str) -> Arrays:
    yield "", np.fromfile(path, "<u2")


def _table(path: str) -> Arrays:
    """Numbers of a CSV; a Mobotix camera's header of seven lines and a blank one is left out."""
    with open(path, encoding="latin1") as f:
        text = f.read()
    if text.startswith("sensor;"):
        text = text.split("\n\n", 1)[1]
        yield "", np.loadtxt(io.StringIO(text), delimiter=";", ndmin=2)
        return
    lines = text.splitlines()
    mark = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    body = lines[1:] if lines and not _is_number(lines[0].split(mark)[0]) else lines
    if body and all(_is_number(cell) for cell in body[0].split(mark)):
        yield "", np.loadtxt(body, delimiter=mark, ndmin=2)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _netcdf3(path: str) -> Arrays:
    with open(path, "rb") as f:
        if f.read(4) == b"\x89HDF":
            yield from _hdf5(path)
            return
    from scipy.io import netcdf_file

    with netcdf_file(path, mmap=False) as file:
        for name, variable in file.variables.items():
            yield f"{name}: ", np.asarray(variable[:])


def _hdf5(path: str) -> Arrays:
    import h5py

    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, o: names.append(name) if isinstance(o, h5py.Dataset) else None)
        for name in names:
            yield f"{name}: ", np.asarray(file[name])


_OPENERS: dict[str, Callable[[str], Arrays]] = {
    **dict.fromkeys((".jpg", ".jpeg", ".png"), _picture),
    **dict.fromkeys((".tif", ".tiff"), _tiff),
    **dict.fromkeys((".h5", ".hdf5", ".nc4"), _hdf5),
    ".npy": _npy,
    ".raw": _raw,
    ".csv": _table,
    ".nc": _netcdf3,
}
