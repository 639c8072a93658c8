"""The evidence lower bound of a VAE, part by part (Kingma and Welling 2014, arXiv 1312.6114).

All are means over the samples of a batch of sums over their voxels or latent numbers, in nats, so
that a batch shared out among ranks gives the loss of the whole.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hpctrain.losses.wide import wide


def gaussian_nll(mean: Tensor, target: Tensor, deviation: Tensor | float = 1.0) -> Tensor:
    """-ln N(target; mean, deviation^2), a sum over voxels, the mean over samples.

    Args:
        mean: (B, ...) the decoder's output.
        target: (B, ...).
        deviation: of a voxel; a scalar.
    """
    mean, target = wide(mean), wide(target)
    s = torch.as_tensor(deviation, dtype=mean.dtype, device=mean.device)
    squares = F.mse_loss(mean, target, reduction="sum") / len(mean)
    voxels = mean[0].numel()
    return 0.5 * squares / s.square() + voxels * (torch.log(s) + 0.5 * math.log(2 * math.pi))


def bernoulli_nll(logits: Tensor, target: Tensor) -> Tensor:
    """-(x ln p + (1 - x) ln (1 - p)), p = sigmoid(logits), x in [0, 1]; summed as above."""
    logits, target = wide(logits), wide(target)
    total = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    return total / len(logits)


def kl_by_number(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of N(mean, exp(log_variance)) from N(0, 1) for each latent number.

    (mean^2 + exp(log_variance) - 1 - log_variance) / 2 (Kingma and Welling 2014, appendix B).

    Returns:
        (B, latent_dim), none of them negative.
    """
    mean, log_variance = wide(mean), wide(log_variance)
    # expm1: near N(0, 1) the difference of the two large terms would have lost its digits
    return 0.5 * (mean.square() + (torch.expm1(log_variance) - log_variance))


def kl_divergence(mean: Tensor, log_variance: Tensor, free_bits: float = 0.0) -> Tensor:
    """Sum over latent numbers, the mean over samples.

    Args:
        mean: (B, latent_dim) of the posterior.
        log_variance: likewise.
        free_bits: nats of each latent number that cost nothing (Kingma et al. 2016, equation 15);
            there they are of a batch's mean, here of each sample, so that ranks can share a batch.
    """
    kl = kl_by_number(mean, log_variance)
    if free_bits:
        kl = kl.clamp(min=free_bits)
    return kl.sum(1).mean()


def kl_weight(step: int, warmup_steps: int, weight: float = 1.0) -> float:
    """Weight of the KL divergence at a step: linear from 0 (Bowman et al. 2016, section 3.1)."""
    if step >= warmup_steps:
        return weight
    return weight * step / warmup_steps
