"""Penalties on the slope of a critic; they differentiate twice.

The value of a critic is the mean of its score map, as in the adversarial losses. A condition beside
the field belongs into the callable, where it takes no part in the slope:
`lambda field: critic(torch.cat((field, condition), 1))`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hpctrain.losses.slope import SlopeMode
from hpctrain.losses.wide import wide

Critic = Callable[[Tensor], Tensor]
"""Takes fields (B, C, D, H, W), returns scores (B, ...)."""


def wgan_gp(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean of (|grad| - 1)^2 between real and fake (Gulrajani et al. 2017, equation 3).

    Args:
        critic: see `Critic`.
        real: (B, C, D, H, W).
        fake: of the same shape; its history is not followed.
        mix: share of real in each sample, uniform in [0, 1], (B, 1, 1, 1, 1).

    Returns:
        A scalar, not yet multiplied by lambda.
    """
    real = wide(real.detach())
    between = torch.lerp(wide(fake.detach()), real, mix.to(real.dtype))
    norm: Tensor = torch.linalg.vector_norm(_slope(critic, between), dim=1)
    return (norm - 1).square().mean()


def r1(critic: Critic, real: Tensor) -> Tensor:
    """Half the mean of |grad|^2 at real fields (Mescheder et al. 2018, equation 9).

    Args:
        critic: see `Critic`.
        real: (B, C, D, H, W).

    Returns:
        A scalar, not yet multiplied by gamma.
    """
    return _slope(critic, wide(real.detach())).square().sum(1).mean() / 2


def _slope(critic: Critic, x: Tensor) -> Tensor:
    """Gradient of each sample's mean score with respect to the sample, (B, C D H W)."""
    x = x.requires_grad_()
    mode = SlopeMode()
    with mode:
        scores = wide(critic(x)).reshape(len(x), -1).mean(1)
    # Samples do not see each other, so the gradient of the sum holds each sample's own.
    return wide(mode.along(x, scores.sum())).flatten(1)
