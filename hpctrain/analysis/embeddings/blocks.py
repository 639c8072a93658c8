"""Embeddings by blocks of rows: an array, or a file of a store, whose slices are arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ROWS = 4096
"""Of a block: with 1000 dimensions 32 MB in float64."""


class Vectors(Protocol):
    """Embeddings (N, D) of which slices and lists of rows can be read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""

    def __getitem__(self, rows: Any, /) -> Array:
        """Rows (n, D)."""


@dataclass(frozen=True)
class Chosen:
    """Some rows of others, which are read as they are asked for."""

    vectors: Vectors
    rows: NDArray[np.int64]
    """(n,) in order."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, D)."""
        return len(self.rows), *self.vectors.shape[1:]

    def __getitem__(self, rows: Any, /) -> Array:
        """Rows of these rows."""
        return self.vectors[self.rows[rows]]


def blocks(vectors: Vectors, size: int = ROWS) -> Iterator[tuple[int, Array]]:
    """Number of the first row, and rows (n, D), of each block in order."""
    for start in range(0, vectors.shape[0], size):
        yield start, np.asarray(vectors[start : start + size])


def unit(rows: Array) -> Array:
    """Rows of length one (n, D), in float32 or float64 as they are; a row of zeros stays so."""
    own = rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", own, own, dtype=np.float64))[:, None]
    return np.asarray(own / np.where(length == 0, 1, length).astype(own.dtype))


def sample_rows(count: int, most: int | None, seed: int = 0) -> NDArray[np.int64]:
    """So many rows in order, drawn without repeats; all where there are no more."""
    if most is None or count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
