"""What is known of a store's rows: `rows.csv`, read column by column so that many rows fit."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.index.table import FACETS, Columns, Row

NAME = "rows.csv"
_NO_FACTS = ("status", "reason")


def facts_of(columns: Columns) -> tuple[str, ...]:
    """Columns of an index that say something of a sample: no sizes, digests and times of files."""
    of_files = {f"{name}{facet}" for name in columns.modalities for facet in FACETS[1:]}
    return tuple(name for name in columns.names if name not in of_files and name not in _NO_FACTS)


def write_rows(folder: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write the table as a whole; see `write_part`."""
    write_part(folder, columns, rows).replace(folder / NAME)


def write_part(folder: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a table beside the one that may be there.

    Args:
        folder: of the store.
        columns: `id` first.
        rows: cells of each row.

    Returns:
        The file, which the caller renames or takes away.

    Raises:
        OSError: it cannot be written.
    """
    part = folder / f".{NAME}.{os.getpid()}.part"
    try:
        with part.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


def rows_of(found: Iterable[Row], columns: Sequence[str]) -> Iterable[list[str]]:
    """Cells of index rows under some columns."""
    return ([row[name] for name in columns] for row in found)


class Table:
    """Columns of `rows.csv`; each is read from the file when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Read the first line.

        Raises:
            DataError: there is no such table.
        """
        self._path = path
        try:
            with path.open(newline="") as file:
                self.columns = tuple(next(csv.reader(file), ()))
        except OSError as e:
            raise DataError(
                f"{path}: cannot be read ({e.strerror}); a store needs it, embed the run again"
            ) from e

    def column(self, name: str) -> list[str]:
        """Cells of a column, equal ones stored once.

        Raises:
            DataError: there is no such column, or a row is too short.
        """
        if name not in self.columns:
            raise DataError(
                f"{self._path}: no column {name!r}; choose from {', '.join(self.columns)}"
            )
        place, known = self.columns.index(name), dict[str, str]()
        with self._path.open(newline="") as file:
            reader = csv.reader(file)
            next(reader, None)
            try:
                return [known.setdefault(cells[place], cells[place]) for cells in reader]
            except IndexError:
                raise DataError(
                    f"{self._path}: line {reader.line_num} is too short; embed the run again"
                ) from None

    def codes(self, name: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """A column as numbers (N,) of its sorted values, and these; an empty cell is -1."""
        cells = self.column(name)
        values = tuple(_in_order(set(cells) - {""}))
        number = {value: i for i, value in enumerate(values)} | {"": -1}
        return np.fromiter((number[cell] for cell in cells), np.int32, len(cells)), values


def _in_order(values: Iterable[str]) -> list[str]:
    """Sorted as numbers where all are, else as texts."""
    try:
        return sorted(values, key=lambda value: (float(value), value))
    except ValueError:
        return sorted(values)
