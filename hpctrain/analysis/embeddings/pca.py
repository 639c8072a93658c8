"""Principal components from moments: exact, in one pass over rows that need not fit in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpctrain.analysis.embeddings.blocks import Array, Vectors, blocks
from hpctrain.analysis.embeddings.moments import Moments


@dataclass(frozen=True)
class Pca:
    """Axes of one cloud of points."""

    mean: Array
    """(D,)."""
    axes: Array
    """(K, D) of length one, the widest first; the largest number of each is positive."""
    variances: Array
    """(D,) along all axes, divided by N - 1."""

    @property
    def shares(self) -> Array:
        """(D,) of the variance; zeros where there is none."""
        total = self.variances.sum()
        return np.asarray(self.variances / total if total > 0 else self.variances)

    def project(self, vectors: Vectors) -> Array:
        """Coordinates (N, K) float32 of all rows, by blocks."""
        out = np.empty((vectors.shape[0], len(self.axes)), np.float32)
        for start, block in blocks(vectors):
            out[start : start + len(block)] = (block - self.mean) @ self.axes.T
        return out


def fit(found: Moments, name: str, num_axes: int) -> Pca:
    """Principal components of one branch.

    Args:
        found: moments of it.
        name: which branch.
        num_axes: K, at most D.
    """
    variances, axes = np.linalg.eigh(found.covariance(name))
    variances, axes = np.maximum(variances[::-1], 0), axes.T[::-1][:num_axes]
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return Pca(found.mean_of(name), axes * np.sign(largest)[:, None], variances)
