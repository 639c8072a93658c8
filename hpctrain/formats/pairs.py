"""Pairs of images: from their files, or from packed records; both give the same arrays."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.mobotix import decode_csv, read_thermal, read_values
from hpctrain.formats.npy import read_npy
from hpctrain.formats.picture import read_picture
from hpctrain.formats.records import SUFFIX, RecordFile
from hpctrain.index.store import index_paths, load_index
from hpctrain.index.table import FACETS, Row

THERMAL = (".csv", ".raw")
PICTURE = (".jpg", ".jpeg", ".png")


class Pairs(Protocol):
    """Samples with parts of the same names, such as rgb and ir."""

    parts: tuple[str, ...]

    def __len__(self) -> int:
        """Number of samples."""

    def id(self, number: int) -> str:
        """Id of a sample."""

    def meta(self, number: int) -> dict[str, str]:
        """Node, timestamp and the like."""

    def read(self, number: int, part: str) -> NDArray[Any]:
        """Decoded numbers of one part: (y, x), or (y, x, 3) with red first."""


@dataclass(frozen=True)
class PairRow:
    """One sample's files."""

    id: str
    files: tuple[Path, ...]
    """One a part."""
    meta: dict[str, str] = field(default_factory=dict)
    digests: tuple[str, ...] = ()
    """sha256 of each file when it was indexed; empty: not of an index."""


@dataclass(frozen=True)
class FilePairs:
    """Samples as files: JPEG, PNG, a camera's CSV or raw, or npy."""

    parts: tuple[str, ...]
    rows: tuple[PairRow, ...]
    left_out: int = 0
    """Rows of the index that are not 'ok'."""
    keep_off_law: bool = False
    """Read thermal numbers that no Mobotix camera gives as float64, instead of refusing them."""

    def __len__(self) -> int:
        return len(self.rows)

    def id(self, number: int) -> str:
        """Id of a sample."""
        return self.rows[number].id

    def meta(self, number: int) -> dict[str, str]:
        """Node, timestamp and the like."""
        return self.rows[number].meta

    def stored(self, number: int, part: str) -> bytes | NDArray[Any]:
        """A part without loss: a picture's bytes, thermal counts as uint16, other arrays as is.

        Raises:
            DataError: unreadable, or thermal values off the camera's law without `keep_off_law`.
        """
        path = self.rows[number].files[self.parts.index(part)]
        suffix = path.suffix.lower()
        if suffix in PICTURE:
            try:
                return path.read_bytes()
            except OSError as e:
                raise DataError(f"{path}: cannot be read: {e.strerror}") from e
        if suffix in THERMAL:
            return self._thermal(path)
        if suffix == ".npy":
            return read_npy(path)
        raise DataError(
            f"{path}: is of no known kind; allowed: {', '.join((*PICTURE, *THERMAL, '.npy'))}"
        )

    def _thermal(self, path: Path) -> NDArray[Any]:
        try:
            if path.suffix.lower() == ".raw":
                return read_thermal(path).counts  # its size stands in its name only
            return decode_csv(path.read_bytes(), str(path)).counts
        except OSError as e:
            raise DataError(f"{path}: cannot be read: {e.strerror}") from e
        except DataError as e:
            if "not on the camera's law" not in str(e):  # of the file, not of its path
                raise
            if not self.keep_off_law:
                raise DataError(f"{e}; --keep-off-law stores such files as float64") from e
        return read_values(path)

    def read(self, number: int, part: str) -> NDArray[Any]:
        """Decoded numbers of one part."""
        return decoded(self.stored(number, part), self.rows[number].id)


class RecordPairs:
    """Samples in packed records, by number or by id."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else [folder]
        if not paths:
            raise DataError(f"{folder}: holds no {SUFFIX} files; give the folder of a conversion")
        self._files = [RecordFile(path) for path in paths]
        self._starts = np.cumsum([0, *(len(file) for file in self._files)])
        self.parts = self._files[0].parts
        self._numbers = {self.id(number): number for number in range(len(self))}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _find(self, number: int) -> tuple[RecordFile, int]:
        if not 0 <= number < len(self):
            raise IndexError(number)
        file = int(np.searchsorted(self._starts, number, "right")) - 1
        return self._files[file], number - int(self._starts[file])

    def id(self, number: int) -> str:
        """Id of a sample."""
        file, place = self._find(number)
        return file.id(place)

    def number(self, sample_id: str) -> int:
        """Number of the sample with an id; KeyError when there is none."""
        return self._numbers[sample_id]

    def meta(self, number: int) -> dict[str, str]:
        """Node, timestamp and the like."""
        file, place = self._find(number)
        return file.meta(place)

    def stored(self, number: int, part: str, check: bool = False) -> bytes | NDArray[Any]:
        """A part as it is stored; see RecordFile."""
        file, place = self._find(number)
        return file.stored(place, part, check)

    def read(self, number: int, part: str) -> NDArray[Any]:
        """Decoded numbers of one part."""
        return decoded(self.stored(number, part), self.id(number))


def decoded(data: bytes | NDArray[Any], where: str) -> NDArray[Any]:
    """Numbers of a stored part.

    Raises:
        DataError: a picture that cannot be decoded.
    """
    return read_picture(io.BytesIO(data), where) if isinstance(data, bytes) else data


def from_index(path: Path, keep_off_law: bool = False) -> FilePairs:
    """The usable pairs of a pair index, as `hpctrain index build` writes it.

    Args:
        path: its CSV, its JSON, or a folder with index.csv.
        keep_off_law: see FilePairs.

    Raises:
        DataError: no such index, altered since it was written, or several files of a modality.
    """
    index = load_index(path)
    table = index_paths(path)[0]
    root = (table.parent / index.root).resolve()
    parts = index.columns.modalities
    used = [row for row in index.rows if row.status == "ok"]
    if not used:
        raise DataError(f"{table}: has no row of status ok; see: hpctrain index build")
    for row in used:
        several = [p for p in parts if len(row.paths(p)) != 1 or row[p].endswith("/")]
        if several:
            raise DataError(
                f"{table}: {row.id!r} has {row[several[0]]!r} as {several[0]}; records take one "
                "file of each modality"
            )
    left_out = len(index.rows) - len(used)
    return FilePairs(parts, tuple(_row(row, parts, root) for row in used), left_out, keep_off_law)


def _row(row: Row, parts: Sequence[str], root: Path) -> PairRow:
    known = {"id", "status", "reason"} | {f"{p}{facet}" for p in parts for facet in FACETS}
    meta = {c: row[c] for c in row.columns.names if c not in known and row[c]}
    digests = tuple(row[f"{part}_sha256"] for part in parts)
    return PairRow(row.id, tuple(root / row[part] for part in parts), meta, digests)


def from_folders(folders: Sequence[Path], keep_off_law: bool = False) -> FilePairs:
    """Pairs of files with the same stem in several folders, which give the parts their names.

    Raises:
        DataError: a file without twins, two files of one stem, or nothing at all.
    """
    tables = [_by_stem(folder) for folder in folders]
    stems = sorted(set().union(*tables))
    for stem in stems:
        for folder, table in zip(folders, tables, strict=True):
            if stem not in table:
                raise DataError(
                    f"{folder}: has no file {stem}.*, as {_holder(folders, tables, stem)} has; "
                    "remove it, or give a pair index, which keeps what is left out"
                )
    parts = tuple(folder.name for folder in folders)
    if len(set(parts)) < len(parts):
        raise DataError(f"{folders[0]}: two folders are named {parts[0]!r}; rename one")
    rows = (PairRow(stem, tuple(table[stem] for table in tables)) for stem in stems)
    return FilePairs(parts, tuple(rows), 0, keep_off_law)


def _holder(folders: Sequence[Path], tables: Sequence[dict[str, Path]], stem: str) -> Path:
    return next(f for f, table in zip(folders, tables, strict=True) if stem in table)


def _by_stem(folder: Path) -> dict[str, Path]:
    known = (*PICTURE, *THERMAL, ".npy")
    table: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in known or path.name[0] == ".":
            continue
        if path.stem in table:
            raise DataError(f"{path}: has the same stem as {table[path.stem].name}; keep one")
        table[path.stem] = path
    if not table:
        raise DataError(f"{folder}: holds no files of {', '.join(known)}")
    return table
