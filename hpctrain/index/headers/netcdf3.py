"""The netCDF classic header: CDF-1 (classic), CDF-2 (64-bit offset) and CDF-5 (64-bit data).

Source: NetCDF User's Guide, appendix "File Format Specifications"; CDF-5 as in PnetCDF's guide.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hpctrain.errors import DataError
from hpctrain.index.headers.arrays import ArrayHeader, FileHeader, check_size, unpack

TYPES = {1: ">i1", 2: "|S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8"}
TYPES_CDF5 = {7: ">u1", 8: ">u2", 9: ">u4", 10: ">i8", 11: ">u8"}
STRUCT = {"i1": "b", "i2": "h", "i4": "i", "i8": "q", "f4": "f", "f8": "d"}
STRUCT |= {"u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
STREAMING = {4: 2**32 - 1, 8: 2**64 - 1}


@dataclass
class _Parser:
    """Reads the header's pieces in order; counts have 4 bytes, in CDF-5 8."""

    path: Path
    f: BinaryIO
    version: int

    @property
    def width(self) -> int:
        return 8 if self.version == 5 else 4

    def int4(self) -> int:
        return int(unpack(self.f, ">I")[0])

    def count(self) -> int:
        value = int(unpack(self.f, ">Q" if self.width == 8 else ">I")[0])
        if value > 2**60 and value != STREAMING[8]:
            raise self.malformed(f"a count of {value}")
        return value

    def offset(self) -> int:
        return int(unpack(self.f, ">I" if self.version == 1 else ">Q")[0])

    def name(self) -> str:
        return self.padded(self.count()).decode("utf-8", "replace")

    def padded(self, length: int) -> bytes:
        raw = self.f.read(length)
        self.f.read(-length % 4)
        if len(raw) < length:
            raise struct.error("short read")
        return raw

    def dtype(self) -> str:
        code = self.int4()
        known = TYPES | (TYPES_CDF5 if self.version == 5 else {})
        if code not in known:
            raise self.malformed(f"type code {code}")
        return known[code]

    def list_length(self, tag: int) -> int:
        found, length = self.int4(), self.count()
        if found not in (0, tag) or (found == 0 and length):
            raise self.malformed(f"tag {found} in place of {tag}")
        return length

    def attributes(self) -> dict[str, str | float]:
        return dict(self.attribute() for _ in range(self.list_length(12)))

    def attribute(self) -> tuple[str, str | float]:
        name, dtype, length = self.name(), self.dtype(), self.count()
        raw = self.padded(length * int(dtype[2:]))
        if dtype == "|S1":
            return name, raw.decode("utf-8", "replace").rstrip("\0")
        values = struct.unpack(f">{length}{STRUCT[dtype[1:]]}", raw)
        return name, values[0] if values else ""

    def malformed(self, what: str) -> DataError:
        return DataError(f"{self.path}: malformed netCDF header: {what}; write it again")


def read_netcdf3(path: Path, f: BinaryIO) -> FileHeader:
    """Parse the header and check the file's length.

    Raises:
        DataError: malformed or truncated.
    """
    f.seek(3)
    parser = _Parser(path, f, f.read(1)[0])
    num_records = parser.count()
    dims = [(parser.name(), parser.count()) for _ in range(parser.list_length(10))]
    attributes = parser.attributes()
    raw = [_variable(parser, dims) for _ in range(parser.list_length(11))]
    record_bytes = _record_bytes([a for a, is_record in raw if is_record])
    if num_records == STREAMING[parser.width]:  # the writer did not know it: ask the file's size
        starts = [a.offset for a, is_record in raw if is_record]
        left = path.stat().st_size - min(starts, default=0)
        num_records = left // record_bytes if starts else 0
    arrays = tuple(_with_records(a, num_records) if record else a for a, record in raw)
    ends = [_end(a, r, num_records, record_bytes) for a, (_, r) in zip(arrays, raw, strict=True)]
    check_size(path, max(ends, default=f.tell()))
    return FileHeader(path, "netcdf3", arrays, attributes)


def _variable(parser: _Parser, dims: list[tuple[str, int]]) -> tuple[ArrayHeader, bool]:
    """One variable, and whether its first dimension is the record dimension (length 0)."""
    name = parser.name()
    ids = [parser.count() for _ in range(parser.count())]
    if any(i >= len(dims) for i in ids):
        raise parser.malformed(f"variable {name!r} has a dimension that does not exist")
    attributes, dtype = parser.attributes(), parser.dtype()
    parser.count()  # its size: redundant, and wrong by design above 4 GiB
    shape = tuple(dims[i][1] for i in ids)
    names = tuple(dims[i][0] for i in ids)
    header = ArrayHeader(name, shape, dtype, names, parser.offset(), attributes=attributes)
    return header, bool(shape) and shape[0] == 0


def _record_bytes(records: list[ArrayHeader]) -> int:
    """Bytes of one record over all variables; a variable is padded to 4 unless it is alone."""
    sizes = [math.prod(a.shape[1:]) * int(a.dtype[2:]) for a in records]
    return sizes[0] if len(sizes) == 1 else sum(s + -s % 4 for s in sizes)


def _end(array: ArrayHeader, is_record: bool, num_records: int, record_bytes: int) -> int:
    """One past the last byte of a variable."""
    if not is_record or num_records == 0:
        return array.offset + array.num_bytes
    return array.offset + (num_records - 1) * record_bytes + array.num_bytes // num_records


def _with_records(array: ArrayHeader, num_records: int) -> ArrayHeader:
    return replace(array, shape=(num_records, *array.shape[1:]), contiguous=num_records <= 1)


def read_values(path: Path, array: ArrayHeader) -> tuple[float, ...]:
    """All values of a small netCDF-3 array, such as a coordinate."""
    count = math.prod(array.shape)
    with path.open("rb") as f:
        f.seek(array.offset)
        return unpack(f, f">{count}{STRUCT[array.dtype[1:]]}")
