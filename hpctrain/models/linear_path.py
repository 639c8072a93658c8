"""A VAE's linear path, which begins and stays at principal components, and what refines it.

The optimum of a linear VAE is probabilistic principal component analysis (Lucas et al. 2019, arXiv
1911.02469; Tipping and Bishop 1999, J. R. Stat. Soc. B 61). It needs no training: a network only
has to learn what goes beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hpctrain.models.components import Components

_LEAST = 1e-6
"""Noise in shares of the largest variance: volumes without any would have no posterior."""
_CELL = 2**3
"""Voxels of a cell of half the resolution."""


class Posterior(NamedTuple):
    """Independent normal distributions of latent numbers."""

    mean: Tensor
    """(B, latent_dim)."""
    log_variance: Tensor
    """(latent_dim,), the same for all volumes."""

    def corrected(self, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
        """Moved by so many (B, latent_dim) of its deviations, and with so much added."""
        deviation = (0.5 * self.log_variance).exp()
        return self.mean + mean * deviation, self.log_variance + log_variance


class LinearPath(nn.Module):
    """Posterior and decoder of probabilistic principal components, which are not trained.

    With directions U, variances L along them and s^2 along all others, z is decoded as
    U (L - s^2)^1/2 z + center, and its posterior has the mean (L - s^2)^1/2 / L U' (x - center) and
    the variance s^2 / L (Tipping and Bishop 1999, equations 6 to 8). Float32 in any precision.
    """

    def __init__(self, size: Sequence[int], latent_dim: int) -> None:
        super().__init__()
        voxels = math.prod(size)

        def fixed(value: Tensor) -> nn.Parameter:
            # buffers would be sent to all ranks in each step
            return nn.Parameter(value, requires_grad=False)

        self.size = tuple(size)
        self.center = fixed(torch.zeros(voxels))
        self.vectors = fixed(torch.zeros(latent_dim, voxels))
        self.variances = fixed(torch.ones(latent_dim))
        self.rest = fixed(torch.ones(()))

    @torch.no_grad()
    def begin_with(self, found: Components) -> None:
        """Take components of volumes of this size."""
        self.center.copy_(found.center.flatten())
        self.vectors.copy_(found.vectors.flatten(1))
        rest = max(found.rest, _LEAST * float(found.variances.max()))
        self.variances.copy_(found.variances.clamp(min=rest))
        self.rest.fill_(rest)

    def posterior(self, x: Tensor) -> Posterior:
        """That of volumes (B, 1, D, H, W)."""
        with _without_autocast(x):
            along = F.linear(x.flatten(1).to(self.center) - self.center, self.vectors)
            log_variance = (self.rest / self.variances).log()
            return Posterior(along * (self._gain / self.variances), log_variance)

    def decode(self, latent: Tensor) -> Tensor:
        """Latent numbers (B, latent_dim) to volumes (B, 1, D, H, W)."""
        with _without_autocast(latent):
            along = latent.to(self.center) * self._gain
            return torch.addmm(self.center, along, self.vectors).view(-1, 1, *self.size)

    @property
    def _gain(self) -> Tensor:
        return (self.variances - self.rest).sqrt()


class Refinement(nn.Module):
    """Adds to volumes what residual blocks at half their resolution make of them; first nothing.

    Args:
        channels: width of the blocks.
        blocks: how many; each sees 5^3 cells.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(_CELL, channels, 3, padding=1)
        self.blocks = nn.ModuleList(_Residual(channels) for _ in range(blocks))
        self.last = nn.Conv3d(channels, _CELL, 3, padding=1)
        silence(self.last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, D, H, W) of even sizes to the same, in the precision of x."""
        y = self.first(_to_cells(x))
        for block in self.blocks:
            y = block(y)
        return x + _to_voxels(self.last(F.relu(y))).to(x.dtype)


def _to_cells(x: Tensor) -> Tensor:
    """(B, 1, 2 D, 2 H, 2 W) to (B, 8, D, H, W), channels last."""
    d, h, w = (n // 2 for n in x.shape[2:])
    cells = x.reshape(-1, d, 2, h, 2, w, 2).permute(0, 1, 3, 5, 2, 4, 6)
    return cells.reshape(-1, d, h, w, _CELL).permute(0, 4, 1, 2, 3)


def _to_voxels(x: Tensor) -> Tensor:
    """Undoes `_to_cells`."""
    d, h, w = x.shape[2:]
    cells = x.permute(0, 2, 3, 4, 1).reshape(-1, d, h, w, 2, 2, 2)
    return cells.permute(0, 1, 4, 2, 5, 3, 6).reshape(-1, 1, 2 * d, 2 * h, 2 * w)


class _Residual(nn.Module):
    """x + F(x), activations before the convolutions (He et al. 2016, arXiv 1603.05027)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)
        silence(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) to the same."""
        y: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + y


def _without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Around what is of the precision of the weights; the meta device knows no autocast."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def silence(layer: nn.Module) -> None:
    """Let a layer with weight and bias begin with an output of 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
