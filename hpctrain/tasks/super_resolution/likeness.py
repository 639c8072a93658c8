"""How alike generated and true fields are, as sums that add up over batches and ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from hpctrain.analysis.spectrum import FLOOR


def moments(field: Tensor, target: Tensor) -> Tensor:
    """Means of a, b, aa, bb, ab over the cells of each channel, summed over samples, (5, C)."""
    a, b = field.double(), target.double()
    return torch.stack([x.mean((2, 3, 4)).sum(0) for x in (a, b, a * a, b * b, a * b)])


def has_structure(moments: Tensor) -> Tensor:
    """Whether the second of two fields varies by more than the rounding of float32, (...)."""
    mean, square = moments[1], moments[3]
    return square - mean * mean > FLOOR * square


def correlation(moments: Tensor) -> Tensor:
    """Pearson's correlation from mean moments (5, ...); NaN where one of two is constant."""
    a, b, aa, bb, ab = moments
    found: Tensor = (ab - a * b) / ((aa - a * a).clamp_min(0) * (bb - b * b).clamp_min(0)).sqrt()
    return torch.where(has_structure(moments) & found.isfinite(), found, torch.nan)


def distances(field: Tensor, target: Tensor) -> Tensor:
    """Wasserstein-1 distance of each sample's values, by channel, summed over samples.

    Of equally many values the sorted ones are matched one to one.
    """
    a, b = (x.flatten(2).sort(-1).values for x in (field, target))
    return (a - b).abs().double().mean(-1).sum(0)
