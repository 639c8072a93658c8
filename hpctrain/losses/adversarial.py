"""Adversarial losses on maps of scores, higher meaning more real.

Each is a pair: what the critic minimises on real and fake, what the generator minimises on fake.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from hpctrain.errors import ConfigError
from hpctrain.losses.wide import wide


@dataclass(frozen=True)
class AdversarialLoss:
    """One pair of losses; scores are (B, 1, ...) and the means go over all of them."""

    critic_loss: Callable[[Tensor, Tensor], Tensor]
    """(real_scores, fake_scores) to a scalar."""
    generator_loss: Callable[[Tensor], Tensor]
    """(fake_scores) to a scalar."""


def _wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    return wide(fake).mean() - wide(real).mean()


def _minus_mean(fake: Tensor) -> Tensor:
    return -wide(fake).mean()


def _bce_critic(real: Tensor, fake: Tensor, label: float = 1.0) -> Tensor:
    loss = F.softplus(-wide(real)).mean() * label + F.softplus(wide(fake)).mean()
    return loss + F.softplus(wide(real)).mean() * (1 - label) if label != 1 else loss


def _bce_generator(fake: Tensor) -> Tensor:
    return F.softplus(-wide(fake)).mean()


def _hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - wide(real)).mean() + F.relu(1 + wide(fake)).mean()


def _least_squares_critic(real: Tensor, fake: Tensor, label: float = 1.0) -> Tensor:
    return ((wide(real) - label).square().mean() + wide(fake).square().mean()) / 2


def _least_squares_generator(fake: Tensor) -> Tensor:
    return (wide(fake) - 1).square().mean() / 2


ADVERSARIAL_LOSSES = {
    # Arjovsky et al. 2017, equation 2; needs a gradient penalty.
    "wasserstein": AdversarialLoss(_wasserstein_critic, _minus_mean),
    # Goodfellow et al. 2014, equation 1, with the non-saturating generator of its section 3.
    "bce": AdversarialLoss(_bce_critic, _bce_generator),
    # Miyato et al. 2018, equations 16 and 17.
    "hinge": AdversarialLoss(_hinge_critic, _minus_mean),
    # Mao et al. 2017, equation 9: targets 0 and 1.
    "least_squares": AdversarialLoss(_least_squares_critic, _least_squares_generator),
}


def adversarial_loss(name: str, label_smoothing: float = 0.0) -> AdversarialLoss:
    """Look a pair up by its name in the job file.

    Args:
        name: of the pair.
        label_smoothing: the critic aims at 1 less this for true fields, and still at 0 for made
            ones (one-sided; Salimans et al. 2016, section 3.4); for bce and least_squares.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in ADVERSARIAL_LOSSES:
        near = difflib.get_close_matches(name, ADVERSARIAL_LOSSES, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"adversary.loss: {name!r} is unknown; "
            f"choose from {', '.join(ADVERSARIAL_LOSSES)}{hint}"
        )
    found = ADVERSARIAL_LOSSES[name]
    if label_smoothing:
        smoothed = partial(found.critic_loss, label=1 - label_smoothing)  # type: ignore[call-arg]
        return AdversarialLoss(smoothed, found.generator_loss)
    return found
