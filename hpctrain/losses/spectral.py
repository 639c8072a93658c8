"""Distance of two sets of fields by their mean power spectra."""

from __future__ import annotations

import torch
from torch import Tensor

from hpctrain.analysis.box_spectrum import box_spectra

_SMALLEST = 1e-12
"""Share of the truth's largest power that is added to both, against the log of 0."""


def spectral_loss(
    generated: Tensor, target: Tensor, *, is_periodic: bool = True, smallest: float = _SMALLEST
) -> Tensor:
    """Mean over channels and bins of (ln P_generated(k) - ln P_target(k))^2.

    P is the mean over the batch, because a generator owes the truth its spectrum and not that of
    one sample; so a batch should hold many samples.

    Args:
        generated: (B, C, D, H, W), differentiated.
        target: (B', C, D, H, W).
        is_periodic: see `box_spectra`.
        smallest: share of the truth's largest power that is added to both: what lies below it
            counts little.

    Returns:
        A scalar.
    """
    with torch.no_grad():
        truth = box_spectra(target, is_periodic=is_periodic).mean(0)
    made = box_spectra(generated, is_periodic=is_periodic).mean(0)
    return _log_distance(made, truth, smallest)


def paired_spectral_loss(
    generated: Tensor, target: Tensor, *, is_periodic: bool = True, smallest: float = _SMALLEST
) -> Tensor:
    """The same for fields that belong together: each sample has its own spectrum to meet.

    A mean over samples, so that it does not depend on how these are spread over ranks.

    Args:
        generated: (B, C, D, H, W), differentiated.
        target: (B, C, D, H, W).
        is_periodic: see `box_spectra`.
        smallest: as for `spectral_loss`, of each sample.

    Returns:
        A scalar.
    """
    with torch.no_grad():
        truth = box_spectra(target, is_periodic=is_periodic)
    return _log_distance(box_spectra(generated, is_periodic=is_periodic), truth, smallest)


def _log_distance(made: Tensor, truth: Tensor, smallest: float) -> Tensor:
    floor = smallest * truth.amax(-1, keepdim=True) + torch.finfo(truth.dtype).tiny
    return ((made + floor).log() - (truth + floor).log()).square().mean()
