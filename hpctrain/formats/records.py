"""Packed records: many small files as a few large ones, each record found by its id.

A file (`pairs-00003.records`) is, in this order, all numbers little-endian:

    head     64 bytes  b"hpctrain-records", uint32 version (1), zeros
    parts              the bytes of each part of each record, each begun at a multiple of 64
    table              JSON: {"parts": [...], "records": [{"id", "meta", "parts": {name: part}}]}
    foot     64 bytes  uint64 offset and length of the table, its SHA-256, b"hpctrain-records"

A part is {"offset", "length", "sha256", "encoding"} with `shape` and `dtype` where `encoding` is
`array` (C-contiguous numbers that can be mapped), and a file's bytes as they were where it is
`jpeg` or `png`. The table and the foot are written last: a torn file has no foot.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.whole_file import WholeFile

MAGIC = b"hpctrain-records"
VERSION = 1
ALIGN = 64
_HEAD = struct.Struct("<16sII40x")
_FOOT = struct.Struct("<QQ32s16s")
SUFFIX = ".records"
PICTURES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png"}


@dataclass(frozen=True)
class Part:
    """One part of a record: an array, or the bytes of a picture."""

    data: bytes | NDArray[Any]

    @property
    def encoding(self) -> str:
        """`array`, `jpeg` or `png`."""
        if not isinstance(self.data, bytes):
            return "array"
        found = next((name for magic, name in PICTURES.items() if self.data.startswith(magic)), "")
        if not found:
            raise DataError(f"found bytes that begin with {self.data[:8]!r}; allowed: JPEG and PNG")
        return found


@dataclass(frozen=True)
class Record:
    """What belongs together, such as a picture and the thermal frame of the same moment."""

    id: str
    parts: Mapping[str, Part]
    meta: Mapping[str, str] = field(default_factory=dict)


class RecordWriter:
    """One file on its way to the disk; it has its name once it is whole."""

    def __init__(self, path: Path) -> None:
        self._file = WholeFile(path)
        self._records: list[dict[str, Any]] = []
        self._file.write(_HEAD.pack(MAGIC, VERSION, 0))

    def add(self, record: Record) -> None:
        """Append one record."""
        parts = {name: self._add_part(part) for name, part in record.parts.items()}
        self._records.append({"id": record.id, "meta": dict(record.meta), "parts": parts})

    def _add_part(self, part: Part) -> dict[str, Any]:
        self._file.write(b"\0" * (-self._file.end % ALIGN))
        page: dict[str, Any] = {"offset": self._file.end, "encoding": part.encoding}
        data = part.data
        if not isinstance(data, bytes):
            little = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
            page |= {"shape": list(data.shape), "dtype": little.dtype.str}
            data = little.tobytes()
        self._file.write(data)
        return page | {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def finish(self) -> tuple[int, str]:
        """Write table and foot and give the file its name; returns size and sha256."""
        names = sorted({name for record in self._records for name in record["parts"]})
        page = {"parts": names, "records": self._records}
        table = json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()
        start = self._file.end
        self._file.write(table)
        self._file.write(_FOOT.pack(start, len(table), hashlib.sha256(table).digest(), MAGIC))
        return self._file.finish()

    def close(self) -> None:
        """Give up what is not finished; harmless afterwards."""
        self._file.close()


class RecordFile:
    """One file of records, mapped; safe for threads and for forked processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as f:
                self._mapped = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as e:
            raise DataError(f"{path}: cannot be read: {e.strerror}") from e
        except ValueError as e:  # an empty file cannot be mapped
            raise _torn(path, "is empty") from e
        self._map = np.frombuffer(self._mapped, np.uint8)
        page = _read_table(path, self._map)
        self.parts: tuple[str, ...] = tuple(page["parts"])
        self._records: list[dict[str, Any]] = page["records"]

    def __len__(self) -> int:
        return len(self._records)

    def id(self, number: int) -> str:
        """Id of a record."""
        return str(self._records[number]["id"])

    def meta(self, number: int) -> dict[str, str]:
        """What else is known of a record, such as node and timestamp."""
        return dict(self._records[number]["meta"])

    def stored(self, number: int, part: str, check: bool = False) -> bytes | NDArray[Any]:
        """A part as it is stored: the bytes of a picture, or a view of the mapped array.

        Args:
            number: of the record.
            part: its name.
            check: compare it with its digest.

        Raises:
            DataError: the record has no such part, or the part is not what was written.
        """
        record = self._records[number]
        page = record["parts"].get(part)
        if page is None:
            raise DataError(
                f"{self.path}: record {record['id']!r} has no {part!r}; "
                f"it has {', '.join(record['parts'])}"
            )
        raw: NDArray[Any] = self._map[page["offset"] : page["offset"] + page["length"]]
        if check and hashlib.sha256(raw.data).hexdigest() != page["sha256"]:
            raise _torn(self.path, f"{part!r} of record {record['id']!r} was altered")
        if page["encoding"] != "array":
            return raw.tobytes()
        values: NDArray[Any] = raw.view(page["dtype"]).reshape(page["shape"])
        return values

    def release_pages(self) -> None:
        """Give back the memory of what was read; the next reading maps it again."""
        self._mapped.madvise(mmap.MADV_DONTNEED)


def _read_table(path: Path, data: NDArray[np.uint8]) -> dict[str, Any]:
    if data.size < _HEAD.size + _FOOT.size:
        raise _torn(path, f"has {data.size} bytes")
    magic, version, _ = _HEAD.unpack(data[: _HEAD.size].tobytes())
    if magic != MAGIC:
        raise DataError(f"{path}: is no file of records (first bytes {magic[:8]!r})")
    if version != VERSION:
        raise DataError(f"{path}: is of version {version} of the format; {VERSION} is known")
    start, length, digest, magic = _FOOT.unpack(data[-_FOOT.size :].tobytes())
    if magic != MAGIC or start + length + _FOOT.size != data.size:
        raise _torn(path, "has no foot")
    table = data[start : start + length].tobytes()
    if hashlib.sha256(table).digest() != digest:
        raise _torn(path, "has a damaged table")
    page: dict[str, Any] = json.loads(table)
    return page


def _torn(path: Path, what: str) -> DataError:
    return DataError(f"{path}: {what}, so it is torn or altered; convert or copy it again")
