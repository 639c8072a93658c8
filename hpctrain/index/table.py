"""The index itself: one row a sample's files, as CSV, with a JSON page about the whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from hpctrain import __version__

SEPARATOR = "|"
LEAD = ("id", "split", "status", "reason")
FACETS = ("", "_size", "_sha256", "_mtime")
"""Columns of each modality: path, bytes, digest, time of change in ns since 1970."""
TAIL = ("timestamp", "node", "position")
_BATCH = 2048
"""Rows that are made into text at a time, so that a large index needs little memory."""


@dataclass(frozen=True)
class Columns:
    """Which columns an index has."""

    modalities: tuple[str, ...]
    """What a sample consists of, such as rgb and thermal."""
    free: tuple[str, ...] = ()
    """Further columns, in order."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All columns in order."""
        facets = (f"{name}{facet}" for name in self.modalities for facet in FACETS)
        return (*LEAD, *facets, *TAIL, *self.free)

    @cached_property
    def places(self) -> dict[str, int]:
        """Column to its number."""
        return {name: number for number, name in enumerate(self.names)}

    @classmethod
    def of(cls, names: Sequence[str]) -> Columns:
        """Columns of a CSV's first line; raises ValueError when it is not ours."""
        names = tuple(names)
        end = names.index(TAIL[0]) if TAIL[0] in names else len(names)
        modalities = names[len(LEAD) : end : len(FACETS)]
        found = cls(modalities, names[end + len(TAIL) :])
        if found.names != names or len(set(names)) < len(names) or not modalities:
            raise ValueError(
                f"columns {list(names)}; expected {', '.join(LEAD)}, then M, M_size, M_sha256, "
                f"M_mtime of each modality M, then {', '.join(TAIL)}, then others"
            )
        return found


FIELDS = Columns(("target", "input"))
"""Columns of the index of `data:` blocks."""


class File(NamedTuple):
    """One file as a row has it."""

    name: str
    """Relative to the index's root."""
    size: int
    """Bytes."""
    sha256: str
    mtime_ns: int
    """Time of change since 1970."""


class Row:
    """One sample; several files of a modality are joined by '|', sizes and digests likewise."""

    __slots__ = ("cells", "columns")

    def __init__(self, columns: Columns, cells: Sequence[str]) -> None:
        self.columns, self.cells = columns, tuple(cells)

    @classmethod
    def make(cls, columns: Columns = FIELDS, **cells: str) -> Row:
        """A row from named cells; the others are empty, the status `ok`."""
        unknown = set(cells) - set(columns.names)
        if unknown:
            raise ValueError(f"unknown columns {sorted(unknown)}")
        given = {"status": "ok", **cells}
        return cls(columns, [given.get(name, "") for name in columns.names])

    def __getitem__(self, column: str) -> str:
        return self.cells[self.columns.places[column]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        return self.cells == other.cells and self.columns == other.columns

    def __hash__(self) -> int:
        return hash(self.cells)

    def __repr__(self) -> str:
        given = {k: v for k, v in zip(self.columns.names, self.cells, strict=True) if v}
        return f"Row({given})"

    def replace(self, **cells: str) -> Row:
        """The row with other values in some columns."""
        values = list(self.cells)
        for name, value in cells.items():
            values[self.columns.places[name]] = value
        return Row(self.columns, values)

    def paths(self, modality: str) -> tuple[str, ...]:
        """Files of a modality, relative to the index's root."""
        cell = self[modality]
        return tuple(cell.split(SEPARATOR)) if cell else ()

    def files(self) -> Iterator[File]:
        """All files of all modalities, in order."""
        for modality in self.columns.modalities:
            facets = (self[f"{modality}{facet}"].split(SEPARATOR) for facet in FACETS[1:])
            for name, size, digest, mtime in zip(self.paths(modality), *facets, strict=False):
                yield File(name, int(size), digest, int(mtime))

    @property
    def id(self) -> str:
        """Name of the sample."""
        return self.cells[0]

    @property
    def split(self) -> str:
        """train, validation, test, or empty."""
        return self.cells[1]

    @property
    def status(self) -> str:
        """ok, bad, or left_out."""
        return self.cells[2]

    @property
    def reason(self) -> str:
        """Why it is not ok: `code: what was found`, several joined by '; '."""
        return self.cells[3]

    @property
    def targets(self) -> tuple[str, ...]:
        """High-resolution files of a fields index, one a field."""
        return self.paths("target")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Low-resolution files, likewise; empty when they are made from the targets."""
        return self.paths("input")


@dataclass(frozen=True)
class Index:
    """Samples, and where their files are."""

    root: Path
    rows: Sequence[Row]
    facts: dict[str, Any]
    """What the JSON page says beside root, counts and digest: rule and tool."""
    columns: Columns = field(default=FIELDS)
    origin: Path | None = None
    """Where the data lie themselves, if `root` holds copies of the files of the rows alone."""

    @property
    def home(self) -> Path:
        """Folder of files that no row names, such as a table about them."""
        return self.origin or self.root

    def csv_pieces(self) -> Iterator[bytes]:
        """The bytes of the CSV, a few thousand rows at a time."""
        yield _csv([self.columns.names])
        for start in range(0, len(self.rows), _BATCH):
            yield _csv([row.cells for row in self.rows[start : start + _BATCH]])

    @property
    def csv_text(self) -> str:
        """The rows."""
        return b"".join(self.csv_pieces()).decode()

    @cached_property
    def digest(self) -> str:
        """sha256 of the CSV."""
        return digest_of_pieces(self.csv_pieces())

    @property
    def json_text(self) -> str:
        """The page about the whole."""
        return self.page_text(self.digest)

    def page_text(self, digest: str) -> str:
        """The page, where the digest of the CSV is known."""
        page: dict[str, Any] = {"root": str(self.root)}
        if self.columns.modalities != FIELDS.modalities:
            page["modalities"] = list(self.columns.modalities)
        page |= {**self.facts, "counts": self.counts, "digest": digest}
        return json.dumps(page, indent=1) + "\n"

    @property
    def counts(self) -> dict[str, int]:
        """Rows in all, usable ones by split, and the others by status."""
        splits = Counter(row.split or "no_split" for row in self.rows if row.status == "ok")
        status = Counter(row.status for row in self.rows)
        counts = {
            "rows": len(self.rows),
            "train": splits.pop("train", 0),
            "validation": splits.pop("validation", 0),
            **dict(sorted(splits.items())),
            "left_out": len(self.rows) - status["ok"] - status["bad"],
        }
        return counts | ({"bad": status["bad"]} if status["bad"] else {})

    def split(self, name: str) -> tuple[Row, ...]:
        """Usable rows of 'train' or 'validation'."""
        return tuple(row for row in self.rows if row.split == name and row.status == "ok")


def digest_of_pieces(pieces: Iterable[bytes]) -> str:
    """sha256 of bytes that come in pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def tool_facts() -> dict[str, str]:
    """Who wrote the index."""
    return {"tool": "hpctrain.index", "tool_version": __version__}


# A sample of thousands of layers has their digests in one cell; csv takes 131,072 characters.
csv.field_size_limit(2**31 - 1)


def parse_rows(csv_text: str) -> tuple[Columns, tuple[Row, ...]]:
    """Columns and rows of a CSV; raises ValueError when its columns are not ours."""
    reader = csv.reader(io.StringIO(csv_text, newline=""))
    columns = Columns.of(next(reader, ()))
    width = len(columns.names)
    rows = []
    for cells in reader:
        if len(cells) != width:
            raise ValueError(f"line {reader.line_num} has {len(cells)} cells, the first {width}")
        rows.append(Row(columns, cells))
    return columns, tuple(rows)


def _csv(records: Sequence[Sequence[str]]) -> bytes:
    """Lines of the CSV; cells are quoted where they must be."""
    lines = [",".join(cells) for cells in records]
    text = "\n".join(lines) + "\n"
    num_commas = sum(len(cells) - 1 for cells in records)
    is_plain = text.count(",") == num_commas and text.count("\n") == len(lines)
    if is_plain and '"' not in text and "\r" not in text:
        return text.encode()  # no cell needs quotes, as nearly always
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(records)
    return out.getvalue().encode()
