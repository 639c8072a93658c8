"""Two sets of samples compared by a statistic of each sample, such as a histogram or a spectrum.

The distance is a chi-square a bin: the square of the difference of two means over its variance,
where both sets are taken to scatter as the reference does. Two sets from one distribution of
independent samples give 1 on average; samples cut from one simulation are not independent, so two
halves of the reference itself give more, and that is the floor that a generator can reach.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Sums over samples of a statistic with one number a bin, which add up over ranks."""

    count: float
    total: Tensor
    """(..., K) sum, float64."""
    squares: Tensor
    """(..., K) sum of squares, float64."""

    @property
    def mean(self) -> Tensor:
        """(..., K) mean over the samples."""
        return self.total / self.count

    @property
    def variance(self) -> Tensor:
        """(..., K) variance between samples, unbiased; 0 for a single one."""
        if self.count < 2:
            return torch.zeros_like(self.total)
        spread = self.squares - self.total.square() / self.count
        return spread.clamp(min=0) / (self.count - 1)

    @property
    def error(self) -> Tensor:
        """(..., K) standard error of the mean."""
        return (self.variance / self.count).sqrt()


def chi_square(found: Moments, reference: Moments, least: float = 0.0) -> Tensor:
    """Distance of `found` from `reference`, a mean over bins: 1 where both are of one origin.

    Sum over bins of (mean_found - mean_reference)^2 / (s^2 (1/n_found + 1/n_reference)) over the
    number of bins; s^2 is the variance between the reference's samples, so that a generator of
    too much scatter gains nothing by it. Bins that are alike in both without scatter count 0.

    Args:
        found: samples to judge.
        reference: samples of the truth.
        least: smallest standard deviation of the reference's mean that is believed, such as one
            cell over all its cells for a histogram whose bin no sample reaches.

    Returns:
        (...), the mean over the last axis.
    """
    return _reduced(found, reference, reference, least)


def floor_chi_square(
    one: Moments, other: Moments, reference: Moments, least: float = 0.0
) -> Tensor:
    """The same distance between two halves of the reference, by the variance of the whole."""
    return _reduced(one, other, reference, least)


def _reduced(one: Moments, other: Moments, reference: Moments, least: float) -> Tensor:
    difference = (one.mean - other.mean).square()
    variance = reference.variance.clamp(min=reference.count * least**2)
    expected = variance * (1 / one.count + 1 / other.count)
    ratio = torch.where(
        (difference == 0) & (expected == 0), torch.zeros_like(difference), difference / expected
    )
    return ratio.mean(-1)


def histogram_edges(values: NDArray[np.floating], count: int) -> list[float]:
    """Edges of bins that resolve both the bulk and a long tail of values.

    They are evenly spaced in asinh(x / c), c the mean absolute value: linear up to c, logarithmic
    beyond. Where all values are whole numbers, as counts are, edges lie between two of them, so
    that no bin is one that the truth cannot reach; fewer bins are left then.

    Args:
        values: of the reference, any shape.
        count: bins, at most.

    Returns:
        count + 1 edges or fewer, rising; what lies beyond the outermost belongs to the outermost
        bins.

    Raises:
        ValueError: all values are equal.
    """
    flat = np.asarray(values, np.float64).ravel()
    low, high = float(flat.min()), float(flat.max())
    if not low < high:
        raise ValueError(f"all values are {low:g}; a histogram needs two that differ")
    width = float(np.abs(flat).mean())
    edges = width * np.sinh(
        np.linspace(math.asinh(low / width), math.asinh(high / width), count + 1)
    )
    if np.array_equal(flat, np.rint(flat)):
        edges = np.unique(np.floor(edges[1:-1])) + 0.5
        edges = np.concatenate(([low - 0.5], edges[(edges > low) & (edges < high)], [high + 0.5]))
    found: list[float] = edges.tolist()
    return found


def histograms(fields: Tensor, edges: Sequence[float]) -> Tensor:
    """Share of each field's cells in each bin.

    Args:
        fields: (B, ...).
        edges: K + 1, rising; a value on an edge belongs to the bin above it.

    Returns:
        (B, K) float64; each row adds up to 1.
    """
    inner = torch.tensor(edges[1:-1], dtype=torch.float64, device=fields.device)
    flat = fields.detach().flatten(1).double()
    bins = torch.bucketize(flat, inner, right=True)
    shares = torch.zeros(len(flat), len(edges) - 1, dtype=torch.float64, device=fields.device)
    return shares.scatter_add_(1, bins, torch.ones_like(flat)) / flat.shape[1]
