"""One plane of numbers from 0 to 1, written rows by rows: PNG of 8 bits, TIFF of 16 bits, Zarr.

What is not known (NaN) is 0 in the pictures and stays NaN in Zarr. Each file says where it is from;
memory holds the rows that are written, whatever the plane's size.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import unwritable
from hpctrain.formats.packages import need
from hpctrain.provenance import Stamp, attributes, seal
from hpctrain.provenance.png import MAGIC, stamp_chunk
from hpctrain.provenance.stamp import NO_DIGEST

PLANE_FORMATS = {"png": ".png", "tiff": ".tif", "zarr": ".zarr"}
"""Names and suffixes."""
BLOCK = 256
"""Rows come in blocks of so many: those of a chunk of Zarr."""

_BITS_8, _BITS_16 = 255, 65535
_LEVEL = 6
_CLASSIC = 0xFFFF_0000
"""Bytes of pixels from which on a TIFF needs offsets of 64 bits."""
_UP = 2
"""PNG's filter that stores differences from the pixel above (PNG 1.2, section 6.4)."""

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class PlaneSheet:
    """What is written beside the numbers."""

    name: str
    shape: tuple[int, int]
    """Rows, columns."""
    attributes: Mapping[str, str]
    stamp: Stamp


class PlaneWriter(Protocol):
    """A file that is being written."""

    def write(self, top: int, rows: Rows) -> None:
        """Append rows (n, columns), of which the first is row `top`."""

    def finish(self) -> None:
        """End it, once all rows are there."""

    def close(self) -> None:
        """Let go of it, finished or not."""


def plane_writer(path: Path, sheet: PlaneSheet) -> PlaneWriter:
    """The writer that the suffix names; it makes the file.

    Raises:
        DataError: its library is not installed.
        TrainError: the file cannot be written.
    """
    makers: dict[str, Any] = {".png": _Png, ".tif": _Tiff, ".tiff": _Tiff, ".zarr": _Zarr}
    try:
        writer: PlaneWriter = makers[path.suffix.lower()](path, sheet)
    except OSError as e:
        raise unwritable(path, e) from e
    return writer


def _whole(rows: Rows, top: int, dtype: str) -> NDArray[Any]:
    """Rounded to whole numbers up to `top`; what is not known becomes 0."""
    found: NDArray[Any] = np.rint(np.nan_to_num(rows, nan=0.0).clip(0, 1) * top).astype(dtype)
    return found


class _Png:
    def __init__(self, path: Path, sheet: PlaneSheet) -> None:
        self._sheet, self._sha = sheet, hashlib.sha256()
        self._file: BinaryIO = path.open("wb")
        self._pack = zlib.compressobj(_LEVEL)
        self._above = np.zeros(sheet.shape[1], np.uint8)
        height, width = sheet.shape
        self._put(MAGIC)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        for key, text in sheet.attributes.items():
            # keyword, its end, not compressed, method, no language, no translated keyword
            self._chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + text.encode())

    def write(self, top: int, rows: Rows) -> None:
        """See `PlaneWriter`."""
        values = _whole(rows, _BITS_8, "u1")
        above = np.vstack((self._above[None], values[:-1]))
        lines = np.empty((len(values), values.shape[1] + 1), np.uint8)
        lines[:, 0] = _UP
        np.subtract(values, above, out=lines[:, 1:])  # modulo 256, as it is meant
        self._above = values[-1]
        self._data(self._pack.compress(lines.tobytes()))

    def finish(self) -> None:
        """See `PlaneWriter`."""
        self._data(self._pack.flush())
        end = _png_chunk(b"IEND", b"")
        self._sha.update(end)
        stamp = replace(self._sheet.stamp, content_digest=self._sha.hexdigest())
        self._file.write(stamp_chunk(stamp.text.encode()) + end)

    def close(self) -> None:
        """See `PlaneWriter`."""
        self._file.close()

    def _data(self, packed: bytes) -> None:
        if packed:
            self._chunk(b"IDAT", packed)

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._put(_png_chunk(kind, data))

    def _put(self, data: bytes) -> None:
        self._sha.update(data)
        self._file.write(data)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


class _Tiff:
    """Plain rows, which any program maps; the description is the stamp, other facts are tags."""

    def __init__(self, path: Path, sheet: PlaneSheet) -> None:
        self._path, self._width = path, sheet.shape[1]
        stamp = attributes(replace(sheet.stamp, content_digest=NO_DIGEST))
        notes = [f"{key}: {value}" for key, value in sheet.attributes.items()]
        text = "\n".join([*stamp.values(), *notes]).encode("ascii", "backslashreplace")
        is_big = 2 * sheet.shape[0] * sheet.shape[1] > _CLASSIC
        with need("tifffile", path).TiffWriter(path, byteorder="<", bigtiff=is_big) as file:
            self._offset, _ = file.write(
                None,
                shape=sheet.shape,
                dtype="uint16",
                photometric="minisblack",
                description=text.decode("ascii"),
                metadata=None,
                returnoffset=True,
            )
        self._file = path.open("r+b")

    def write(self, top: int, rows: Rows) -> None:
        """See `PlaneWriter`."""
        self._file.seek(self._offset + 2 * top * self._width)
        self._file.write(_whole(rows, _BITS_16, "<u2").tobytes())

    def finish(self) -> None:
        """See `PlaneWriter`."""
        self._file.close()
        seal(self._path)

    def close(self) -> None:
        """See `PlaneWriter`."""
        self._file.close()


class _Zarr:
    """One array; chunks in which nothing is known are left out."""

    def __init__(self, path: Path, sheet: PlaneSheet) -> None:
        height, width = sheet.shape
        self._array = need("zarr", path).create_array(
            str(path),
            shape=sheet.shape,
            dtype="float32",
            chunks=(min(BLOCK, height), min(BLOCK, width)),
            fill_value=float("nan"),
            dimension_names=["y", "x"],
            attributes={"name": sheet.name, **sheet.attributes, **attributes(sheet.stamp)},
        )

    def write(self, top: int, rows: Rows) -> None:
        """See `PlaneWriter`."""
        self._array[top : top + len(rows)] = rows

    def finish(self) -> None:
        """See `PlaneWriter`; Zarr's files are written whole."""

    def close(self) -> None:
        """See `PlaneWriter`."""
