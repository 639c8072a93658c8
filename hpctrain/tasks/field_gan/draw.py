"""True and made fields of one micro-batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpctrain.data import FieldBatch
from hpctrain.tasks.field_gan.rescaling import Rescaling
from hpctrain.tasks.super_resolution.pair import Pair

NOISE_STREAM = 1
VALIDATION_STREAM = 2
FLIP_STREAM = 400_000
"""Streams of random numbers; that of flips is followed by two for each critic step."""


class Draw(Pair):
    """One micro-batch on its way through a step; noise belongs to (seed, epoch, sample).

    Args:
        batch: true fields as its target; styles, if any, as the networks take them.
        generator: the network.
        rescaling: makes the discriminator's channels.
        noise_size: numbers that a field is made of.
        seed: the run's seed.
    """

    def __init__(
        self,
        batch: FieldBatch,
        generator: nn.Module,
        rescaling: Rescaling,
        noise_size: int,
        seed: int,
    ) -> None:
        super().__init__(batch, generator, 1, seed)
        self.noise_size, self.rescaling = noise_size, rescaling
        self.target = rescaling(batch.target)

    def generate(self) -> Tensor:
        """Made fields with all channels of the discriminator, (B, C, D, H, W)."""
        return self.rescaling(self.fields(NOISE_STREAM))

    def fields(self, stream: int) -> Tensor:
        """Made fields as the generator gives them."""
        noise = self._rows(stream, self.noise_size, "normal_")
        y: Tensor = self.generator(noise, self.batch.style)
        return y

    def signs(self, stream: int, share: float) -> Tensor:
        """(B, 1): -1 for samples whose label is flipped, a random share of them, else 1."""
        uniform = self._rows(stream, 1, "uniform_")
        return torch.where(uniform < share, -1.0, 1.0)

    def _rows(self, stream: int, size: int, kind: str) -> Tensor:
        """(B, size) random numbers, from each sample's own stream, drawn on the CPU."""
        rows = torch.empty(len(self.batch.ids), size, pin_memory=self.batch.target.is_cuda)
        for seed, row in zip(self._seeds(stream), rows, strict=True):
            getattr(row, kind)(generator=torch.Generator().manual_seed(seed))
        return rows.to(self.batch.target.device, non_blocking=True)
