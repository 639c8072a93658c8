"""Columns of a store's rows as classes, as days, and as pointings of the camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpctrain.analysis.embeddings.classify import Labels
from hpctrain.embed.table import Table
from hpctrain.errors import ConfigError

MOST_CLASSES = 64
_BINS = 4
_NEVER = ("id", "split", "timestamp", "rgb", "ir", "thermal")
_POINTING = ("node", "position")
_DAY = 10
"""Characters of a time stamp that are its day."""


def classes_of(table: Table, name: str) -> Labels:
    """A column as classes; one of more than 64 different numbers by quarters of its rows.

    Raises:
        ConfigError: there is no such column, or it has one value, or too many texts.
    """
    if name not in table.columns:
        raise ConfigError(
            f"--column: no column {name!r} in the store; choose from {', '.join(table.columns)}"
        )
    codes, values = table.codes(name)
    if len(values) > MOST_CLASSES:
        found = _quarters(codes, values)
        if found is None:
            raise ConfigError(
                f"--column: {name} has {len(values)} different texts; allowed: up to "
                f"{MOST_CLASSES}, or numbers"
            )
        codes, values = found
    if len(values) < 2:
        raise ConfigError(
            f"--column: {name} has {len(values)} different values, so there is nothing to tell "
            "apart; choose another"
        )
    return Labels(name, codes, values)


def usual_classes(table: Table, num_rows: int) -> list[Labels]:
    """Columns that are classes as they are: few values, of which some are frequent."""
    found = []
    for name in table.columns:
        if name in _NEVER:
            continue
        codes, values = table.codes(name)
        if 2 <= len(values) <= min(MOST_CLASSES, num_rows // 2):
            found.append(Labels(name, codes, values))
    return found


def pointings(table: Table) -> NDArray[np.int64] | None:
    """Number of node and position of each row (N,), -1 where not known; None without both."""
    parts = [table.codes(name)[0] for name in _POINTING if name in table.columns]
    known = [codes for codes in parts if (codes >= 0).any()]
    if not known:
        return None
    together = np.stack(known, axis=1)
    number = np.unique(together, axis=0, return_inverse=True)[1].reshape(-1)
    return np.where((together >= 0).all(axis=1), number, -1)


def days(table: Table) -> list[str] | None:
    """Day of each row's time stamp; None without that column."""
    if "timestamp" not in table.columns:
        return None
    return [cell[:_DAY] for cell in table.column("timestamp")]


def _quarters(
    codes: NDArray[np.int32], values: Sequence[str]
) -> tuple[NDArray[np.int32], tuple[str, ...]] | None:
    """Classes of numbers, each with about as many rows; None where some are no numbers."""
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return None
    if not np.isfinite(numbers).all():
        return None
    cells = numbers[codes[codes >= 0]]
    edges = np.unique(np.quantile(cells, np.linspace(0, 1, _BINS + 1)))
    bins = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    names = tuple(f"{low:g} to {high:g}" for low, high in zip(edges, edges[1:], strict=False))
    own = np.where(codes >= 0, bins[codes], -1)
    return own.astype(np.int32), names
