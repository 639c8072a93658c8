"""The masked part of iBOT: what hidden patches are (Zhou et al. 2022, arXiv 2111.07832)."""

from __future__ import annotations

from torch import Tensor

from hpctrain.losses.cross_entropy import soft_cross_entropy


def ibot_loss(student: Tensor, targets: Tensor, masked: Tensor, temperature: float = 0.1) -> Tensor:
    """Cross-entropy of hidden patches, the mean over those of a picture, then over pictures.

    Pictures without a hidden patch count as 0 (equation 1 with an empty mask).

    Args:
        student: (M, K) logits of the patches that the student did not see, in the order in which
            `masked` has them.
        targets: (M, K) the teacher's probabilities of the same patches.
        masked: (B, N) bool, True where a patch was hidden; M in all.
        temperature: the student's.
    """
    hidden = masked.sum(1, keepdim=True).clamp(min=1)
    weights = (1 / (hidden * len(masked)).double()).expand(masked.shape)[masked]
    return soft_cross_entropy(student[None], [targets], weights, temperature)
