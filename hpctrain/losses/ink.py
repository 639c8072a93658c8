"""Losses of ink detection: logits (B, H, W) against labels (B, H, W), where a mask says there is.

Each is a mean over the samples of a batch, so that a batch shared out among ranks gives the loss of
the whole: cross-entropies count each valid pixel alike, overlaps are taken window by window.
Labels are shares of ink in [0, 1]; pixels outside the mask count nothing, whatever stands there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hpctrain.losses.wide import wide


def smoothed(label: Tensor, smoothing: float) -> Tensor:
    """Labels drawn towards 1/2: y (1 - s) + s / 2 (Szegedy et al. 2016, section 7)."""
    return label * (1 - smoothing) + 0.5 * smoothing if smoothing else label


def bce(logits: Tensor, label: Tensor, mask: Tensor, ink_weight: float = 1.0) -> Tensor:
    """Cross-entropy; sum over valid pixels over the pixels of a window.

    Args:
        logits: (B, H, W).
        label: (B, H, W) in [0, 1].
        mask: (B, H, W), true where pixels count.
        ink_weight: how often a pixel of ink counts.
    """
    logits, label = wide(logits), _known(label, mask)
    losses = F.binary_cross_entropy_with_logits(
        logits, label, pos_weight=logits.new_tensor(ink_weight), reduction="none"
    )
    return torch.where(mask, losses, 0).mean()


def focal(
    logits: Tensor, label: Tensor, mask: Tensor, gamma: float = 2.0, ink_weight: float = 1.0
) -> Tensor:
    """Cross-entropy times |y - p|^gamma, so that easy pixels count little.

    Lin et al. 2017 (arXiv 1708.02002), equation 4, in the form for labels between 0 and 1 of Li et
    al. 2020 (arXiv 2006.04388), equation 4; both are the same where labels are 0 or 1.

    Args:
        logits: (B, H, W).
        label: (B, H, W) in [0, 1].
        mask: (B, H, W), true where pixels count.
        gamma: 0 gives the cross-entropy.
        ink_weight: how often a pixel of ink counts.
    """
    logits, label = wide(logits), _known(label, mask)
    losses = F.binary_cross_entropy_with_logits(
        logits, label, pos_weight=logits.new_tensor(ink_weight), reduction="none"
    )
    # at a miss of 0 the power's gradient is infinite for a gamma below 1
    miss = (label - torch.sigmoid(logits)).abs().clamp(min=1e-6)
    return torch.where(mask, losses * miss.pow(gamma), 0).mean()


def soft_f_beta(
    logits: Tensor, label: Tensor, mask: Tensor, beta: float = 1.0, smooth: float = 1.0
) -> Tensor:
    """1 - F_beta of counts by probability, the mean over windows; beta 1: Dice loss.

    F = ((1 + b^2) TP + s) / ((1 + b^2) TP + b^2 FN + FP + s), with TP = sum of p y and so on
    (Milletari et al. 2016 for b = 1). A window without ink is right when it says so.

    Args:
        logits: (B, H, W).
        label: (B, H, W) in [0, 1].
        mask: (B, H, W), true where pixels count.
        beta: how much more recall counts than precision; the ink challenge has 0.5.
        smooth: pixels by which empty windows are held off 0 / 0.
    """
    label = _known(label, mask)
    p = torch.where(mask, torch.sigmoid(wide(logits)), 0).flatten(1)
    y = label.flatten(1)
    true, found, wanted = (p * y).sum(1), p.sum(1), y.sum(1)
    b = beta * beta
    # (1 + b) TP + b FN + FP = b wanted + found
    f = ((1 + b) * true + smooth) / (b * wanted + found + smooth)
    return (1 - f).mean()


def _known(label: Tensor, mask: Tensor) -> Tensor:
    """Labels with zeros outside the mask, where anything may stand, even no number."""
    return torch.where(mask, wide(label), 0)
