"""Whether an ensemble of generated fields is spread as it errs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rank_histogram(truth: Array, members: Array, weights: Array | None = None) -> Array:
    """Share of cells in which the truth has each rank among the members.

    Members that are drawn as the truth is give equal shares; a U says that they are spread too
    little, a hill too much, a slope that they are biased (Hamill 2001, Mon. Wea. Rev. 129, 550).
    Where the truth equals k members it counts in equal parts for the k + 1 ranks that it may have.

    Args:
        truth: any shape.
        members: (N, ...) of that shape.
        weights: broadcasts to the truth's shape, such as areas; None: all cells alike.

    Returns:
        (N + 1,) float64, of sum 1.
    """
    truth, members = np.asarray(truth), np.asarray(members)
    if members.ndim != truth.ndim + 1 or members.shape[1:] != truth.shape or not len(members):
        raise ValueError(f"members {members.shape} are no fields of shape {truth.shape}")
    w = np.ones(truth.shape) if weights is None else np.broadcast_to(weights, truth.shape)
    below = (members < truth).sum(0)
    equal = (members == truth).sum(0)
    shares = np.zeros(len(members) + 1)
    for ties in np.unique(equal).tolist():
        here = equal == ties
        counts = np.bincount(below[here], w[here] / (ties + 1), len(members) + 1)
        for k in range(ties + 1):
            shares[k:] += counts[: len(shares) - k]
    total: Array = shares / shares.sum()
    return total


def unevenness(shares: Array) -> float:
    """Sum over ranks of |share - 1/(N + 1)|: 0 for a flat histogram, nearly 2 for one full rank.

    The reliability index of Delle Monache et al. 2006 (J. Geophys. Res. 111, D24307).
    """
    return float(np.abs(np.asarray(shares) - 1 / len(shares)).sum())


def spread_over_error(truth: Array, members: Array, weights: Array | None = None) -> float:
    """Spread of the members over the error of their mean; 1 for a calibrated ensemble.

    sqrt((N + 1) / N mean variance) / RMSE of the mean (Fortin et al. 2014, J. Hydrometeor. 15,
    1708); less than 1: the ensemble is too sure.

    Args:
        truth: any shape.
        members: (N, ...) of that shape, two at least.
        weights: broadcasts to the truth's shape; None: all cells alike.
    """
    values = np.asarray(members, np.float64)
    if len(values) < 2:
        raise ValueError("the spread of fewer than two members is unknown")
    w = np.ones(values.shape[1:]) if weights is None else weights
    w = np.broadcast_to(np.asarray(w, np.float64), values.shape[1:])
    variance = np.average(values.var(0, ddof=1), weights=w)
    error = np.average(np.square(values.mean(0) - truth), weights=w)
    if error == 0:
        return float("nan") if variance == 0 else float("inf")
    return float(np.sqrt(variance * (len(values) + 1) / len(values) / error))
