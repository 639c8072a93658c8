"""A convolutional variational auto-encoder of volumes (Kingma and Welling 2014, arXiv 1312.6114).

Sizes follow from that of the volume: each layer halves it and doubles the width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.models.components import Components
from hpctrain.models.linear_path import LinearPath, Refinement, silence
from hpctrain.models.volume_blocks import doubling_block, halving_block, laid_out_as

_LOG_VARIANCE = (-30.0, 20.0)
"""Bounds of the posterior's: exp() of a first wild value must not overflow."""
_DEVIATION_GAIN = 10.0
"""Adam moves every number by about its rate a step; one that all voxels share may move faster."""


class Coded(NamedTuple):
    """What a VAE makes of volumes."""

    output: Tensor
    """(B, 1, D, H, W): mean of the Gaussian, or logits of the Bernoulli likelihood."""
    mean: Tensor
    """(B, latent_dim) of the posterior, float32."""
    log_variance: Tensor
    """(B, latent_dim) of the posterior, float32."""


def widths(channels: int, layers: int) -> list[int]:
    """Width behind each layer: doubled from one to the next."""
    return [channels * 2**i for i in range(layers)]


def check_size(size: Sequence[int], layers: int, key: str = "data.size") -> tuple[int, int, int]:
    """Cells behind all layers.

    Args:
        size: (D, H, W) cells of a volume.
        layers: each halves it.
        key: of the job file that the size stands in.

    Raises:
        ConfigError: a size that cannot be halved so often.
    """
    factor = 2**layers
    if any(n % factor for n in size):
        found = " x ".join(map(str, size))
        raise ConfigError(
            f"{key}: found {found} voxels, and {layers} layers halve them {layers} times; give a "
            f"multiple of {factor} along each axis, or fewer layers in train.network"
        )
    a, b, c = (n // factor for n in size)
    return a, b, c


def numbers_a_cell(latent_dim: int, cells: Sequence[int]) -> int:
    """Latent numbers of each cell of a grid.

    Raises:
        ConfigError: they cannot be shared out equally.
    """
    count = math.prod(cells)
    if latent_dim % count:
        raise ConfigError(
            f"train.network.latent_dim: found {latent_dim}, and latent: grid shares them out among "
            f"{' x '.join(map(str, cells))} cells; give a multiple of {count}"
        )
    return latent_dim // count


class VolumeEncoder(nn.Module):
    """Layers that halve a volume and double the width; works on any size that they divide."""

    def __init__(self, block: str = "batch_norm", channels: int = 32, layers: int = 3) -> None:
        super().__init__()
        self.widths = widths(channels, layers)
        ends = [1, *self.widths]
        self.layers = nn.ModuleList(
            halving_block(block, a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Volumes (B, 1, D, H, W) to features behind each layer, the finest first."""
        features = []
        x = laid_out_as(x, self)
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return features


class Vae3d(nn.Module):
    """Volumes to a normal posterior over a vector of latent numbers, and back.

    Args:
        size: (D, H, W) voxels of a volume.
        latent_dim: numbers that a volume is coded in.
        channels: width of the first layer, doubled from layer to layer.
        layers: how often the volume is halved.
        block: plain, batch_norm or residual.
        latent: vector: each number sees and changes the whole volume; grid: numbers belong to the
            cells behind the last layer, as many to each.
        has_linear_path: see `begin_with`; the network then only adds to a linear posterior, and
            refines what is decoded linearly.
        has_deviation: learn one standard deviation of the Gaussian likelihood (Rybkin et al. 2021,
            arXiv 2006.13202), which weighs reconstruction against the KL divergence.
    """

    def __init__(
        self,
        size: Sequence[int],
        latent_dim: int = 512,
        channels: int = 32,
        layers: int = 3,
        block: str = "batch_norm",
        latent: str = "vector",
        *,
        has_linear_path: bool = False,
        has_deviation: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.latent_dim = tuple(size), latent_dim
        coarse = check_size(size, layers)
        self.encoder = VolumeEncoder(block, channels, layers)
        wide = self.encoder.widths
        self._start = (wide[-1], *coarse)
        self.linear = LinearPath(size, latent_dim) if has_linear_path else None
        self.to_latent: nn.Module
        if latent == "grid":
            own = numbers_a_cell(latent_dim, coarse)
            self.to_latent = nn.Sequential(nn.Conv3d(wide[-1], 2 * own, 1), nn.Flatten())
        else:
            features = math.prod(self._start)
            self.to_latent = nn.Sequential(nn.Flatten(), nn.Linear(features, 2 * latent_dim))
        if self.linear is None:
            self.from_latent = _first_of_decoder(latent, latent_dim, self._start)
            self.decoder: nn.Module = _doubling(block, wide)
        else:
            silence(self.to_latent)
            # Adam moves each of so many weights by about its rate a step
            self._share = 1 / math.prod(self._start)
            self.decoder = Refinement(channels, layers)
        self.log_deviation = nn.Parameter(torch.zeros(())) if has_deviation else None

    @property
    def deviation(self) -> Tensor | None:
        """The likelihood's standard deviation, a scalar; None where it is not learned."""
        if self.log_deviation is None:
            return None
        return torch.exp(_DEVIATION_GAIN * self.log_deviation)

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        decoder = self.decoder.blocks if isinstance(self.decoder, Refinement) else self.decoder
        return [*self.encoder.layers, *decoder]  # type: ignore[misc]

    @torch.no_grad()
    def begin_with(self, found: Components) -> None:
        """Make the linear path that of principal components, and the deviation what they leave."""
        assert self.linear is not None
        self.linear.begin_with(found)
        if self.log_deviation is not None:
            self.log_deviation.copy_(self.linear.rest.log() / 2 / _DEVIATION_GAIN)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Volumes (B, 1, D, H, W) to mean and log-variance of the posterior, (B, latent_dim).

        Raises:
            ConfigError: volumes of another size than the network was made for.
        """
        if x.shape[2:] != self.size:
            raise ConfigError(
                f"the network was made for volumes of {self.size} voxels, found "
                f"{tuple(x.shape[2:])}; give data.size as the run had it"
            )
        features = self.encoder(x)[-1]
        mean, log_variance = _wide(self.to_latent(features)).chunk(2, 1)
        if self.linear is not None:
            linear = self.linear.posterior(x)
            mean, log_variance = linear.corrected(mean * self._share, log_variance * self._share)
        return mean, log_variance.clamp(*_LOG_VARIANCE)

    def decode(self, latent: Tensor) -> Tensor:
        """Latent numbers (B, latent_dim) to volumes (B, 1, D, H, W), before any sigmoid."""
        if self.linear is not None:
            refined: Tensor = self.decoder(self.linear.decode(latent))
            return refined
        x = self.from_latent(latent).relu_().view(-1, *self._start)
        y: Tensor = self.decoder(x)
        return y

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Coded:
        """Code and decode volumes.

        Args:
            x: (B, 1, D, H, W).
            noise: (B, latent_dim), standard normal; None: decode the posterior's mean.
        """
        mean, log_variance = self.encode(x)
        latent = mean if noise is None else reparameterise(mean, log_variance, noise)
        return Coded(self.decode(latent), mean, log_variance)


def _first_of_decoder(latent: str, latent_dim: int, start: tuple[int, ...]) -> nn.Module:
    """Latent numbers to features (C, D, H, W)."""
    width, *cells = start
    if latent == "vector":
        return nn.Linear(latent_dim, math.prod(start))
    own = numbers_a_cell(latent_dim, cells)
    return nn.Sequential(nn.Unflatten(1, (own, *cells)), nn.Conv3d(own, width, 1))


def _doubling(block: str, wide: Sequence[int]) -> nn.Sequential:
    """The mirror image of the encoder's layers."""
    ends = [*reversed(wide), 1]
    last = len(wide) - 1
    return nn.Sequential(
        *(
            doubling_block(block, a, b, is_last=i == last)
            for i, (a, b) in enumerate(zip(ends[:-1], ends[1:], strict=True))
        )
    )


def reparameterise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A draw of N(mean, exp(log_variance)) that both can be learned through.

    z = mean + exp(log_variance / 2) noise (Kingma and Welling 2014, section 2.4).
    """
    return mean + torch.exp(0.5 * log_variance) * noise


def _wide(x: Tensor) -> Tensor:
    """Float32 at least: the exponential of a variance wants more digits than half precisions."""
    return x if x.dtype == torch.float64 else x.float()
