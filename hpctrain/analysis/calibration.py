"""Whether an ensemble of generated fields is spread as it errs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class CalibrationSum:
    """Ranks of the truth among members and their spread, summed over parts of a field.

    Members come one after the other and none is kept, so that memory does not grow with them: it
    takes about 40 bytes for each number of a part.
    """

    def __init__(self, num_channels: int, num_members: int) -> None:
        """Begin.

        Args:
            num_channels: C of the fields.
            num_members: N of each part.
        """
        self.num_members = num_members
        self._counts = np.zeros((num_channels, num_members + 1))
        self._variance, self._error = np.zeros(num_channels), np.zeros(num_channels)
        self._weight = 0.0

    def add(self, truth: Array, members: Iterable[Array], weights: Array | None = None) -> None:
        """Add a part.

        Args:
            truth: (C, ...).
            members: N of that shape.
            weights: broadcasts to a channel's shape, such as areas; None: all cells alike.

        Raises:
            ValueError: other shapes, or another number of members.
        """
        below, equal = (np.zeros(truth.shape, np.uint16) for _ in range(2))
        mean, squares = (np.zeros(truth.shape) for _ in range(2))
        count = 0
        for count, member in enumerate(members, start=1):
            if member.shape != truth.shape:
                raise ValueError(f"members {member.shape} are no fields of shape {truth.shape}")
            below += member < truth
            equal += member == truth
            change = member - mean  # Welford's update, as squares of large values would cancel
            mean += change / count
            change *= member - mean
            squares += change
        if count != self.num_members:
            raise ValueError(f"found {count} members of {self.num_members}")
        w = np.ones(truth.shape[1:])
        if weights is not None:
            w = np.ascontiguousarray(np.broadcast_to(weights, truth.shape[1:]))
        mean -= truth
        for c in range(len(truth)):
            self._counts[c] += _shared_counts(below[c], equal[c], w, count)
            self._variance[c] += float(np.vdot(squares[c], w)) / max(1, count - 1)
            self._error[c] += float(np.vdot(np.square(mean[c]), w))
        self._weight += float(w.sum())

    def rank_histograms(self) -> Array:
        """See `rank_histogram`, (C, N + 1)."""
        shares: Array = self._counts / self._counts.sum(1, keepdims=True)
        return shares

    def spreads_over_error(self) -> Array:
        """See `spread_over_error`, (C,)."""
        if self.num_members < 2:
            raise ValueError("the spread of fewer than two members is unknown")
        n = self.num_members
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: Array = np.sqrt(self._variance * (n + 1) / n / self._error)
        return ratio


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
    shares: Array = _sum_of(truth, members, weights).rank_histograms()[0]
    return shares


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
    return float(_sum_of(truth, members, weights).spreads_over_error()[0])


def _sum_of(truth: Array, members: Array, weights: Array | None) -> CalibrationSum:
    truth, members = np.asarray(truth), np.asarray(members)
    if not len(members):
        raise ValueError(f"members {members.shape} are no fields of shape {truth.shape}")
    total = CalibrationSum(1, len(members))
    total.add(truth[None], (member[None] for member in members), weights)
    return total


def _shared_counts(below: Array, equal: Array, weights: Array, count: int) -> Array:
    """Weight of each rank, (count + 1,); cells with ties count in parts."""
    found = np.zeros(count + 1)
    for ties in np.unique(equal).tolist():
        here = equal == ties
        counts = np.bincount(below[here], weights[here] / (ties + 1), count + 1)
        for k in range(ties + 1):
            found[k:] += counts[: len(found) - k]
    return found
