"""The loss of ink detection: a weighted sum of those in `losses/ink.py`."""

from __future__ import annotations

from torch import Tensor

from hpctrain.config.ink import InkLoss
from hpctrain.losses import ink


class InkCriterion:
    """Computes the parts that a job asks for.

    Args:
        settings: the job's block.
        ink_weight: how often a pixel of ink counts in cross-entropies.
    """

    def __init__(self, settings: InkLoss, ink_weight: float) -> None:
        self.settings, self.ink_weight = settings, ink_weight

    def __call__(
        self, logits: Tensor, label: Tensor, mask: Tensor, *, is_trained: bool = True
    ) -> Tensor:
        """Mean over the windows.

        Args:
            logits: (B, H, W).
            label: (B, H, W) in [0, 1].
            mask: (B, H, W), true where pixels count.
            is_trained: smooth the labels of cross-entropies; validation takes them as they are.
        """
        block = self.settings
        own = logits, label, mask
        # an overlap with smoothed labels is largest where all is ink, if a window has none
        soft = logits, ink.smoothed(label, block.label_smoothing if is_trained else 0.0), mask
        parts = []
        if block.bce:
            parts.append(block.bce * ink.bce(*soft, self.ink_weight))
        if block.focal:
            parts.append(block.focal * ink.focal(*soft, block.focal_gamma, self.ink_weight))
        if block.dice:
            parts.append(block.dice * ink.soft_f_beta(*own))
        if block.f_beta:
            parts.append(block.f_beta * ink.soft_f_beta(*own, block.beta))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total
