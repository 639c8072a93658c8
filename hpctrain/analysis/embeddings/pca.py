"""Principal components from moments: exact, in one pass over rows that need not fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpctrain.analysis.embeddings.blocks import Array, Vectors, blocks, sample_rows
from hpctrain.analysis.embeddings.moments import Moments


@dataclass(frozen=True)
class Pca:
    """Axes of one cloud of points."""

    mean: Array
    """(D,)."""
    axes: Array
    """(K, D) of length one, the widest first; the largest number of each is positive."""
    variances: Array
    """(D,) along all axes, divided by N - 1; of a sample no more than it has rows."""

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
    return Pca(found.mean_of(name), _turned(axes), variances)


def fit_sample(branches: Sequence[Vectors], num_axes: int, most: int = 1024) -> Pca:
    """Principal components of rows of all branches together: of a sample of them.

    What is behind expanders is so wide that the scatter of all its numbers would fill the memory.

    Args:
        branches: (N, D) each, of the same rows.
        num_axes: K, at most D.
        most: rows of each that are drawn where there are more.
    """
    rows = sample_rows(branches[0].shape[0], most)
    cloud = np.concatenate([np.asarray(own[rows]) for own in branches])
    mean = cloud.mean(axis=0, dtype=np.float64)
    _, widths, axes = np.linalg.svd(cloud - mean.astype(cloud.dtype), full_matrices=False)
    variances = widths.astype(np.float64) ** 2 / max(1, len(cloud) - 1)
    return Pca(mean, _turned(axes[:num_axes]), variances)


def _turned(axes: Array) -> Array:
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return np.asarray(axes * np.sign(largest)[:, None])
