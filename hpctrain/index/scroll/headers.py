"""Cells of the files of volumes, read without numpy on a login node."""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.headers.file import read_header
from hpctrain.index.headers.npy_head import parse_npy_head
from hpctrain.index.quick.content import Content
from hpctrain.index.quick.look import look

_PNG = b"\x89PNG\r\n\x1a\n"
_AGAIN = "fetch or write it again"
BAD_NPZ = (
    *(OSError, EOFError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
    RuntimeError,  # encrypted; of its kind NotImplementedError: packed in a way that Python lacks
)
"""What reading a damaged npz file, or one of another kind, raises."""


class Cells(NamedTuple):
    """What a header says."""

    shape: tuple[int, ...]
    dtype: str


def tiff_cells(path: Path) -> Cells:
    """Cells of a TIFF file, (y, x) or (pages, y, x).

    Raises:
        DataError: truncated, no TIFF, or not one number a pixel.
    """
    try:
        number = os.open(path, os.O_RDONLY)
        try:
            found = look(str(path), Content(number, os.fstat(number).st_size, None))
        finally:
            os.close(number)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}") from e
    if found.fault:
        raise DataError(f"{path}: {found.fault}; {_AGAIN}")
    shape = tuple(int(text) for text in found.shape.split("x") if text)
    if len(shape) > 2 and shape[-1] <= 4:
        raise DataError(f"{path}: has {shape[-1]} colours a pixel; give greyscale pictures")
    return Cells(shape, found.dtype)


def png_cells(path: Path) -> Cells:
    """Pixels (y, x) of a PNG file.

    Raises:
        DataError: it is none.
    """
    try:
        with path.open("rb") as f:
            head = f.read(24)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}") from e
    if head[:8] != _PNG or len(head) < 24:
        raise DataError(f"{path}: is no PNG picture, its first bytes are {head[:4]!r}; {_AGAIN}")
    width, height = struct.unpack(">II", head[16:24])
    return Cells((height, width), "")


def npy_cells(path: Path) -> Cells:
    """Cells of an npy file.

    Raises:
        DataError: truncated, or not of real numbers.
    """
    header = read_header(path)
    if header.kind not in ("npy", "named npy"):
        raise DataError(f"{path}: is no npy file but {header.kind}; write it with numpy.save")
    return Cells(header.arrays[0].shape, header.arrays[0].dtype.lstrip("<>|="))


def npz_cells(path: Path) -> dict[str, Cells]:
    """Cells of the arrays of an npz file, by name.

    Raises:
        DataError: it is none, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith(".npy")]
            return {name[:-4]: _npy_member(path, archive, name) for name in names}
    except BAD_NPZ as e:
        raise DataError(f"{path}: is no npz file ({e}); {_AGAIN}") from e


def _npy_member(path: Path, archive: zipfile.ZipFile, name: str) -> Cells:
    with archive.open(name) as f:
        head = f.read(8)
        (length,) = struct.unpack(*(("<H", f.read(2)) if head[6:7] == b"\1" else ("<I", f.read(4))))
        parsed = parse_npy_head(f.read(length))
    if head[:6] != b"\x93NUMPY" or parsed is None:
        raise DataError(f"{path}: {name} has a malformed header; {_AGAIN}")
    return Cells(parsed.shape, parsed.descr.lstrip("<>|="))


def zarr_cells(path: Path) -> tuple[dict[str, Cells], list[str]]:
    """Cells of the arrays of a Zarr group or array, by their path in it, and OME-Zarr's levels.

    An array that is the whole is called `volume`.

    Raises:
        DataError: its metadata are damaged.
    """
    found: dict[str, Cells] = {}
    for page in sorted([*path.rglob("zarr.json"), *path.rglob(".zarray")]):
        table = _json(page)
        if page.name == "zarr.json" and table.get("node_type") != "array":
            continue
        name = page.parent.relative_to(path).as_posix()
        kind = str(table.get("data_type") or table.get("dtype")).lstrip("<>|=")
        try:
            shape = tuple(int(n) for n in table["shape"])
        except (KeyError, TypeError, ValueError) as e:
            raise DataError(f"{page}: says no shape; {_AGAIN}") from e
        found["volume" if name == "." else name] = Cells(shape, kind)
    return found, _levels(path)


def _levels(path: Path) -> list[str]:
    """Paths of the resolutions of an OME-Zarr, the highest first."""
    tables = [_json(p) for p in (path / "zarr.json", path / ".zattrs") if p.is_file()]
    for table in tables:
        own = table.get("attributes", table)
        scales = own.get("multiscales") or own.get("ome", {}).get("multiscales")
        try:
            return [str(level["path"]) for level in scales[0]["datasets"]]
        except (KeyError, TypeError, IndexError):
            continue
    return []


def _json(path: Path) -> dict[str, Any]:
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: is no JSON page ({e}); {_AGAIN}") from e
    return page if isinstance(page, dict) else {}
