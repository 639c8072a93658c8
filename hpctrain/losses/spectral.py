"""Distance of two sets of fields by their mean power spectra."""

from __future__ import annotations

import torch
from torch import Tensor

from hpctrain.analysis.box_spectrum import box_spectra

_SMALLEST = 1e-12
"""Share of the truth's largest power that is added to both, against the log of 0."""

_FAINT = 1e-5
"""Power, of normalised fields, that is added to both: about what `smallest` adds to those of a crop
of unit variance, so that crops of less have no steeper gradient."""


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
    generated: Tensor,
    target: Tensor,
    *,
    is_periodic: bool = True,
    smallest: float = _SMALLEST,
    faint: float = _FAINT,
) -> Tensor:
    """The same for fields that belong together: each sample has its own spectrum to meet.

    A mean over all samples and channels, so that it does not depend on how these are spread over
    ranks. Where the truth is constant, such as under a mask, it has no spectrum to meet: this
    counts as no distance.

    Args:
        generated: (B, C, D, H, W), differentiated; normalised, so that typical samples have a
            variance of about 1.
        target: (B, C, D, H, W).
        is_periodic: see `box_spectra`.
        smallest: as for `spectral_loss`, of each sample.
        faint: power that is added to both as well, in units of white noise of variance 1; a truth
            that is nowhere above it counts as constant. It bounds the gradient.

    Returns:
        A scalar.
    """
    with torch.no_grad():
        truth = box_spectra(target, is_periodic=is_periodic)
    made = box_spectra(generated, is_periodic=is_periodic)
    has_structure = truth.amax(-1, keepdim=True) > faint
    return _log_distance(torch.where(has_structure, made, truth), truth, smallest, faint)


def _log_distance(made: Tensor, truth: Tensor, smallest: float, faint: float = 0.0) -> Tensor:
    least = faint + torch.finfo(truth.dtype).tiny
    floor = smallest * truth.amax(-1, keepdim=True) + least
    return ((made + floor).log() - (truth + floor).log()).square().mean()
