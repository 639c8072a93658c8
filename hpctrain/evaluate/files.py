"""Tables and figures of an evaluation, each replaced as a whole and with its stamp."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hpctrain.errors import unwritable
from hpctrain.provenance import Stamp, embed


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], stamp: Stamp) -> None:
    """Write a CSV file; the first row names the columns, and None is an empty cell.

    Raises:
        TrainError: it cannot be written.
    """
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    _write(path, text.getvalue().encode(), stamp)


def columns(table: Mapping[str, Sequence[Any]]) -> Iterable[dict[str, Any]]:
    """Rows of a table that is given by columns."""
    for values in zip(*table.values(), strict=True):
        yield dict(zip(table, values, strict=True))


def write_figure(path: Path, figure: Figure, stamp: Stamp) -> None:
    """Write a figure as PNG.

    Raises:
        TrainError: it cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    _write(path, content.getvalue(), stamp)


def _write(path: Path, content: bytes, stamp: Stamp) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
        embed(path, stamp)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise unwritable(path, e) from e
