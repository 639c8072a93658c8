"""Means and scatter matrices of all branches in one pass, from which much else follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hpctrain.analysis.embeddings.blocks import ROWS, Array, Vectors


@dataclass(frozen=True)
class Moments:
    """Of rows that hold the branches beside each other, in float64."""

    count: int
    names: tuple[str, ...]
    dims: tuple[int, ...]
    mean: Array
    """(D,) of all branches behind each other."""
    scatter: Array
    """(D, D): sum over rows of the outer product of what they differ from the mean."""

    def part(self, name: str) -> slice:
        """Where a branch is in `mean`."""
        at = self.names.index(name)
        start = sum(self.dims[:at])
        return slice(start, start + self.dims[at])

    def mean_of(self, name: str) -> Array:
        """(D,) of a branch."""
        return np.asarray(self.mean[self.part(name)])

    def scatter_of(self, first: str, second: str | None = None) -> Array:
        """(D, D) of one branch, or (D, E) of two."""
        return np.asarray(self.scatter[self.part(first), self.part(second or first)])

    def covariance(self, name: str) -> Array:
        """(D, D), divided by N - 1."""
        return self.scatter_of(name) / max(1, self.count - 1)

    def deviations(self, name: str) -> Array:
        """(D,) standard deviations, of which VICReg's variance term wants at least 1."""
        return np.asarray(np.sqrt(np.diag(self.covariance(name))))


def moments(branches: Mapping[str, Vectors], size: int = ROWS) -> Moments:
    """Measure them, in one pass over all rows.

    Blocks are joined as Chan, Golub and LeVeque (1979) do: no difference of large sums.

    Args:
        branches: (N, D) each, of the same rows.
        size: rows of a block.
    """
    dims = tuple(own.shape[1] for own in branches.values())
    num_rows = next(iter(branches.values())).shape[0]
    count, mean, scatter = 0, np.zeros(sum(dims)), np.zeros((sum(dims), sum(dims)))
    for start in range(0, num_rows, size):
        parts = [np.asarray(own[start : start + size], np.float64) for own in branches.values()]
        block = np.concatenate(parts, axis=1)
        own_mean = block.mean(axis=0)
        block -= own_mean
        apart, total = own_mean - mean, count + len(block)
        scatter += block.T @ block
        scatter += np.outer(apart, apart) * (count * len(block) / total)
        mean += apart * (len(block) / total)
        count = total
    return Moments(count, tuple(branches), dims, mean, scatter)


def stacked(found: Moments) -> Moments:
    """Of all branches' rows below each other, as one branch `joint`; dimensions must be equal."""
    assert len(set(found.dims)) == 1, "branches of unequal dimensions have no joint space"
    means = [found.mean_of(name) for name in found.names]
    middle = np.mean(means, axis=0)
    scatter = np.zeros((found.dims[0], found.dims[0]))
    for name, own in zip(found.names, means, strict=True):
        scatter += found.scatter_of(name) + found.count * np.outer(own - middle, own - middle)
    return Moments(found.count * len(means), ("joint",), found.dims[:1], middle, scatter)
