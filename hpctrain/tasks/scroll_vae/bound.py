"""The loss of a VAE of volumes: its evidence lower bound, in nats a voxel."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.losses.vae import bernoulli_nll, gaussian_nll, kl_divergence, kl_weight
from hpctrain.models.vae import Coded, Vae3d


class Bound(NamedTuple):
    """Means over the samples of a batch."""

    loss: Tensor
    """What is minimised: nats a voxel."""
    reconstruction: Tensor
    """Negative log-likelihood: nats a voxel."""
    divergence: Tensor
    """KL divergence of the posterior from the prior: nats a sample, without free bits."""


def make_vae(settings: ScrollVae, size: tuple[int, int, int]) -> Vae3d:
    """The network of a `train:` block, in float32 on torch's current device."""
    block = settings.network
    return Vae3d(
        size,
        **block.model_dump(exclude={"linear_windows"}),
        has_linear_path=block.linear_windows > 0,
        has_deviation=settings.likelihood == "gaussian" and settings.deviation == "learned",
    )


def bound(
    settings: ScrollVae, coded: Coded, volume: Tensor, deviation: Tensor | None, step: int
) -> Bound:
    """Compute the loss and its parts.

    Args:
        settings: the `train:` block.
        coded: what the network made of the volumes.
        volume: (B, 1, D, H, W).
        deviation: the likelihood's, where it is learned.
        step: of the whole run, for the warm-up of the divergence.
    """
    voxels = volume[0].numel()
    if settings.likelihood == "bernoulli":
        reconstruction = bernoulli_nll(coded.output, volume) / voxels
    else:
        known = settings.deviation if deviation is None else deviation
        assert not isinstance(known, str)
        reconstruction = gaussian_nll(coded.output, volume, known) / voxels
    block = settings.divergence
    divergence = kl_divergence(coded.mean, coded.log_variance)
    costly = divergence
    if block.free_bits:
        costly = kl_divergence(coded.mean, coded.log_variance, block.free_bits)
    weight = kl_weight(step, block.warmup_steps, block.weight)
    return Bound(reconstruction + weight / voxels * costly, reconstruction, divergence)
