"""How embeddings fill their space: rank, alignment of pairs, uniformity, likeness of branches."""

from __future__ import annotations

import math

import numpy as np

from hpctrain.analysis.embeddings.blocks import Array, Vectors, blocks, sample_rows, unit
from hpctrain.analysis.embeddings.moments import Moments

_SAMPLED = 5000
"""Rows whose pairs tell the uniformity: 12 million of them."""


def effective_rank(found: Moments, name: str) -> float:
    """Exp of the entropy of the singular values of centred embeddings.

    Source: Roy and Vetterli 2007, "The effective rank", definition 1. 0 where all rows are equal.
    """
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(found.scatter_of(name)), 0))
    return _exp_entropy(values)


def participation_ratio(found: Moments, name: str) -> float:
    """(sum of variances)^2 / sum of their squares: axes of an equally wide cloud."""
    values = np.maximum(np.linalg.eigvalsh(found.covariance(name)), 0)
    squares = float(np.square(values).sum())
    return float(values.sum() ** 2 / squares) if squares else 0.0


def alignment(x: Vectors, y: Vectors) -> float:
    """Mean squared distance of the pairs on the unit sphere, 0 to 4.

    Source: Wang and Isola 2020, equation 2 with alpha 2.
    """
    total = 0.0
    for start, block in blocks(x):
        other = np.asarray(y[start : start + len(block)])
        apart = unit(block).astype(np.float64) - unit(other)
        total += float(np.square(apart).sum())
    return total / max(1, x.shape[0])


def uniformity(x: Vectors, most: int = _SAMPLED) -> float:
    """Log of the mean of exp(-2 d^2) over pairs of rows on the unit sphere; less is more even.

    Source: Wang and Isola 2020, equation 3 with t 2. 0 where all rows are equal.

    Args:
        x: (N, D), at least two rows.
        most: rows that are drawn where there are more.
    """
    rows = unit(np.asarray(x[sample_rows(x.shape[0], most)])).astype(np.float64)
    total, count = 0.0, len(rows)
    for start, block in blocks(rows, 512):
        apart = 2 - 2 * (block @ rows.T)
        kernel = np.exp(-2 * np.maximum(apart, 0))
        at = np.arange(len(block))
        total += float(kernel.sum() - kernel[at, start + at].sum())
    return math.log(total / (count * (count - 1)))


def linear_cka(found: Moments, first: str, second: str) -> float:
    """Linear centred kernel alignment of two branches, 0 to 1.

    Source: Kornblith et al. 2019, equation 5 in its feature form: no N x N matrix.
    """
    across = np.square(found.scatter_of(first, second)).sum()
    own = [np.sqrt(np.square(found.scatter_of(name)).sum()) for name in (first, second)]
    return float(across / (own[0] * own[1])) if all(own) else 0.0


def _exp_entropy(values: Array) -> float:
    total = values.sum()
    if not total > 0:
        return 0.0
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))
