"""What an npy file cannot say in its header: names, units and coordinates, behind its numbers.

numpy reads an npy file to the last number and no farther, so a page behind it disturbs nobody; and
a page in the file itself goes wherever the file goes, and is part of its digest. The file ends with
the page as JSON, its length and CRC-32 (little-endian) and 16 bytes that say that it is there.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from hpctrain.errors import DataError
from hpctrain.index.headers.arrays import ArrayHeader, FileHeader

MAGIC = b"hpctrain-npy-v1\n"
_FOOT = struct.Struct("<QI16s")


def pack_trailer(page: Mapping[str, Any]) -> bytes:
    """The bytes that go behind the numbers.

    Args:
        page: `channels`, a list of tables with `name` and attributes such as `units`; `axes`, the
            names of the last dimensions; `coordinates`, a table of numbers by axis; `attributes`
            of the whole file.
    """
    text = json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()
    return text + _FOOT.pack(len(text), zlib.crc32(text), MAGIC)


def read_trailer(path: Path, f: BinaryIO, end: int) -> dict[str, Any] | None:
    """The page behind the numbers, or None where nothing of ours stands there.

    Args:
        path: file, for messages.
        f: the open file.
        end: one past the last byte of the numbers.

    Raises:
        DataError: the page is damaged.
    """
    size = path.stat().st_size
    if size < end + _FOOT.size:
        return None
    f.seek(size - _FOOT.size)
    length, crc, magic = _FOOT.unpack(f.read(_FOOT.size))
    if magic != MAGIC:
        return None
    f.seek(end)
    text = f.read(length) if end + length + _FOOT.size == size else b""
    if not text or zlib.crc32(text) != crc:
        raise DataError(
            f"{path}: the page of names and coordinates behind its numbers is damaged; "
            "convert the file again"
        )
    page: dict[str, Any] = json.loads(text)
    return page


def header_with_names(path: Path, array: ArrayHeader, page: Mapping[str, Any]) -> FileHeader:
    """The header of an npy file whose channels have names: one array a channel.

    Raises:
        DataError: the page is not about this array.
    """
    axes, channels = tuple(page["axes"]), page["channels"]
    lead = array.shape[: -len(axes)]
    if len(array.shape) < len(axes) or (lead or (1,)) != (len(channels),) or array.fortran:
        raise DataError(
            f"{path}: holds {list(array.shape)} numbers, but the page behind them names "
            f"{len(channels)} channels on {', '.join(axes)}; convert the file again"
        )
    shape = array.shape[-len(axes) :]
    step = array.num_bytes // len(channels)
    arrays = tuple(
        ArrayHeader(
            channel["name"],
            shape,
            array.dtype,
            axes,
            array.offset + number * step,
            attributes={k: v for k, v in channel.items() if k != "name"},
        )
        for number, channel in enumerate(channels)
    )
    coordinates = {name: tuple(values) for name, values in page["coordinates"].items()}
    return FileHeader(path, "named npy", arrays, page["attributes"], coordinates)
