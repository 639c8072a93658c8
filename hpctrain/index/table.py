"""The index itself: one row a sample's files, as CSV, with a JSON page about the whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hpctrain import __version__

SEPARATOR = "|"


@dataclass(frozen=True)
class Row:
    """Files of one time step; several fields are joined by '|', sizes and digests likewise."""

    id: str
    split: str = ""
    status: str = "ok"
    reason: str = ""
    target: str = ""
    target_size: str = ""
    target_sha256: str = ""
    target_mtime: str = ""
    input: str = ""
    input_size: str = ""
    input_sha256: str = ""
    input_mtime: str = ""
    timestamp: str = ""
    node: str = ""
    position: str = ""

    @property
    def targets(self) -> tuple[str, ...]:
        """High-resolution files, one a field, relative to the index's root."""
        return tuple(self.target.split(SEPARATOR)) if self.target else ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Low-resolution files, likewise; empty when they are made from the targets."""
        return tuple(self.input.split(SEPARATOR)) if self.input else ()


COLUMNS = tuple(f.name for f in fields(Row))


@dataclass(frozen=True)
class Index:
    """What a run reads, frozen into its directory."""

    root: Path
    rows: tuple[Row, ...]
    facts: dict[str, Any]
    """What the JSON page says beside root, counts and digest: rule and tool."""

    @property
    def csv_text(self) -> str:
        """The rows."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows)
        return text.getvalue()

    @property
    def digest(self) -> str:
        """sha256 of the CSV."""
        return hashlib.sha256(self.csv_text.encode()).hexdigest()

    @property
    def json_text(self) -> str:
        """The page about the whole."""
        page = {"root": str(self.root), **self.facts, "counts": self.counts, "digest": self.digest}
        return json.dumps(page, indent=1) + "\n"

    @property
    def counts(self) -> dict[str, int]:
        """Rows in all, by split, and those left out."""
        return {
            "rows": len(self.rows),
            "train": len(self.split("train")),
            "validation": len(self.split("validation")),
            "left_out": sum(row.status != "ok" for row in self.rows),
        }

    def split(self, name: str) -> tuple[Row, ...]:
        """Usable rows of 'train' or 'validation'."""
        return tuple(row for row in self.rows if row.split == name and row.status == "ok")


def tool_facts() -> dict[str, str]:
    """Who wrote the index."""
    return {"tool": "hpctrain.index", "tool_version": __version__}


def parse_rows(csv_text: str) -> tuple[Row, ...]:
    """Rows of a CSV; raises ValueError when its columns are not ours."""
    reader = csv.DictReader(io.StringIO(csv_text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"columns {reader.fieldnames}; expected {list(COLUMNS)}")
    return tuple(Row(**record) for record in reader)
