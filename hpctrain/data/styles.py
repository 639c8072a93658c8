"""The table of styles: numbers that a generator is told of each file, such as its redshift."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError


def read_styles(path: Path, files: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Read the styles of some files.

    Args:
        path: CSV file with a column `file` and one for each number.
        files: paths as the column has them.

    Returns:
        Names of the numbers, and the numbers (files, numbers).

    Raises:
        DataError: no such table, no row for a file, two rows, or a value that is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            names = tuple(n for n in reader.fieldnames or () if n != "file")
            rows = list(reader)
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}; data.styles names a CSV file below root") from e
    if not rows or "file" not in rows[0] or not names:
        raise DataError(
            f"{path}: allowed: a line of names, `file` and one for each number, and a line a file"
        )
    table: dict[str, list[float]] = {}
    for line, row in enumerate(rows, start=2):
        if row["file"] in table:
            raise DataError(f"{path}:{line}: {row['file']} stands there twice; remove one")
        table[row["file"]] = [_number(row[name], name, f"{path}:{line}") for name in names]
    missing = [name for name in files if name not in table]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(f"{path}: has no line for {missing[0]}{more}; add it")
    return names, np.array([table[name] for name in files], np.float32)


def _number(text: str | None, name: str, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {name} is {text!r}; allowed: a number")
    return value
