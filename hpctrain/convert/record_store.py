"""Files of packed records, some hundred megabytes each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.convert.options import Options
from hpctrain.convert.store import Facts
from hpctrain.convert.units import Unit
from hpctrain.errors import DataError
from hpctrain.formats.pairs import FilePairs, decoded
from hpctrain.formats.records import SUFFIX, Part, Record, RecordFile, RecordWriter

FILE_BYTES = 256_000_000
"""Source bytes that go into one file of records."""


class RecordStore:
    """Pairs of images, packed."""

    def __init__(self, pairs: FilePairs, options: Options) -> None:
        """The pairs, and whether their pictures are decoded."""
        self.workers = options.workers  # each holds one record at a time
        self._pairs = pairs
        self._decode = options.decode
        self._sizes = [sum(_size(path) for path in row.files) for row in pairs.rows]
        self._groups = _group(self._sizes)

    @property
    def num_bytes(self) -> int:
        """At most what the source takes; decoded pictures are taken for ten times their bytes."""
        return sum(self._sizes) * (10 if self._decode else 1) + (1 << 16) * len(self._groups)

    def prepare(self, folder: Path) -> None:
        """Nothing: each file is made by its unit."""

    def units(self, folder: Path) -> Sequence[Unit]:
        """One a file."""
        return [self._unit(folder, number, "") for number in range(len(self._groups))]

    def checks(self, folder: Path) -> Sequence[Unit]:
        """Read each file back and compare."""
        return [self._unit(folder, number, "check ") for number in range(len(self._groups))]

    def facts(self) -> Facts:
        """Number of records and their parts."""
        pairs = self._pairs
        return {
            "records": len(pairs),
            "left_out": pairs.left_out,
            "parts": list(pairs.parts),
            "pictures": "decoded, uint8" if self._decode else "the bytes of their files",
        }

    def _unit(self, folder: Path, number: int, lead: str) -> Unit:
        first, stop = self._groups[number]
        name = f"pairs-{number:05d}{SUFFIX}"
        run = self._check if lead else self._write
        size = sum(self._sizes[first:stop])
        return Unit(lead + name, size, lambda: run(folder / name, first, stop))

    def _parts(self, number: int) -> dict[str, Any]:
        stored = {part: self._pairs.stored(number, part) for part in self._pairs.parts}
        if not self._decode:
            return stored
        where = self._pairs.id(number)
        return {part: decoded(data, where) for part, data in stored.items()}

    def _write(self, path: Path, first: int, stop: int) -> Facts:
        writer = RecordWriter(path)
        try:
            for number in range(first, stop):
                parts = {name: Part(data) for name, data in self._parts(number).items()}
                try:
                    record = Record(self._pairs.id(number), parts, self._pairs.meta(number))
                    writer.add(record)
                except DataError as e:
                    files = ", ".join(map(str, self._pairs.rows[number].files))
                    raise DataError(f"{files}: {e}") from e
            return {"files": {path.name: list(writer.finish())}}
        finally:
            writer.close()

    def _check(self, path: Path, first: int, stop: int) -> Facts:
        file = RecordFile(path)
        for place, number in enumerate(range(first, stop)):
            is_same = file.id(place) == self._pairs.id(number)
            is_same &= file.meta(place) == self._pairs.meta(number)
            for part, data in self._parts(number).items():
                found = file.stored(place, part, check=True)
                is_same &= found == data if isinstance(data, bytes) else _equal(found, data)
            file.release_pages()
            if not is_same:
                raise DataError(
                    f"{path}: record {self._pairs.id(number)!r} is not what its files hold; "
                    "the disk or the memory is faulty, or the files changed meanwhile"
                )
        return {}


def _equal(a: Any, b: Any) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _group(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """[first, stop) of the records of each file."""
    groups, first, total = [], 0, 0
    for number, size in enumerate(sizes):
        if total and total + size > FILE_BYTES:
            groups.append((first, number))
            first, total = number, 0
        total += size
    return [*groups, (first, len(sizes))]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}; build the index again") from e
