"""Distance of two sets of fields by their mean power spectra."""

from __future__ import annotations

import torch
from torch import Tensor

from hpctrain.analysis.box_spectrum import box_spectra

_SMALLEST = 1e-12
"""Share of the truth's largest power that is added to both, against the log of 0."""


def spectral_loss(generated: Tensor, target: Tensor, *, is_periodic: bool = True) -> Tensor:
    """Mean over channels and bins of (ln P_generated(k) - ln P_target(k))^2.

    P is the mean over the batch, because a generator owes the truth its spectrum and not that of
    one sample; so a batch should hold many samples.

    Args:
        generated: (B, C, D, H, W), differentiated.
        target: (B', C, D, H, W).
        is_periodic: see `box_spectra`.

    Returns:
        A scalar.
    """
    with torch.no_grad():
        truth = box_spectra(target, is_periodic=is_periodic).mean(0)
        floor = _SMALLEST * truth.amax(-1, keepdim=True) + torch.finfo(truth.dtype).tiny
    made = box_spectra(generated, is_periodic=is_periodic).mean(0)
    return ((made + floor).log() - (truth + floor).log()).square().mean()
