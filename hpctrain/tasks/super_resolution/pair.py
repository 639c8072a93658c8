"""Input, truth and generated field of one micro-batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.data import FieldBatch
from hpctrain.models import Noise, SampleNoise, ZeroNoise, crop_to, upsample_trilinear
from hpctrain.train.draws import sample_seeds

NOISE_STREAM = 1
MIX_STREAM = 1000
"""Streams from here on belong to the critic steps' mixing factors, one each."""


def generate(generator: nn.Module, x: Tensor, noise: Noise, style: Tensor | None) -> Tensor:
    """Call a generator with what it takes beside the field.

    Args:
        generator: has `has_noise` and `has_style` where it takes them.
        x: (B, C, D, H, W).
        noise: source of draws.
        style: (B, S), or None.
    """
    options: dict[str, Any] = {}
    if getattr(generator, "has_noise", False):
        options["noise"] = noise
    if getattr(generator, "has_style", False):
        options["style"] = style
    y: Tensor = generator(x, **options)
    return y


class Pair:
    """One micro-batch on its way through a step.

    Args:
        batch: input (B, C, d+2h, h+2h, w+2h) and target (B, C, D, H, W).
        generator: the network.
        factor: upscale factor.
        seed: the run's seed; noise and mixing factors follow from it, the epoch and the sample.
    """

    def __init__(
        self,
        batch: FieldBatch,
        generator: nn.Module,
        factor: int,
        seed: int,
    ) -> None:
        self.batch, self.generator = batch, generator
        self.factor, self.seed = factor, seed
        self.target = batch.target
        self._condition: Tensor | None = None

    @property
    def halo(self) -> tuple[int, int, int]:
        """Input cells on each side of the part that is asked for; stages of a run may differ."""
        sizes = zip(self.batch.input.shape[2:], self.batch.target.shape[2:], strict=True)
        a, b, c = ((given - fine // self.factor) // 2 for given, fine in sizes)
        return a, b, c

    @property
    def condition(self) -> Tensor:
        """The upsampled input, (B, C_in, D, H, W): what the critic sees beside a field."""
        if self._condition is None:
            with torch.no_grad():
                self._condition = upsample_trilinear(self.batch.input, self.factor, self.halo)
        return self._condition

    def generate(self) -> Tensor:
        """Generated field (B, C, D, H, W); the same noise whenever it is called in this step."""
        has_noise = getattr(self.generator, "has_noise", False)
        noise = SampleNoise(self._seeds(NOISE_STREAM)) if has_noise else ZeroNoise()
        output = generate(self.generator, self.batch.input, noise, self.batch.style)
        return crop_to(output, self.target.shape[2:])

    def mix(self, critic_step: int) -> Tensor:
        """Uniform factors (B, 1, 1, 1, 1) of one critic step."""
        draws = [
            torch.rand((), generator=torch.Generator().manual_seed(seed))
            for seed in self._seeds(MIX_STREAM + critic_step)
        ]
        factors = torch.stack(draws).view(-1, 1, 1, 1, 1)
        if self.target.is_cuda:  # from pinned memory the copy is queued; else the loop waits for it
            factors = factors.pin_memory()
        return factors.to(self.target.device, non_blocking=True)

    def normal(self, stream: int) -> Tensor:
        """Standard normal numbers of the target's shape, from each sample's own stream."""
        rows = []
        for seed, row in zip(self._seeds(stream), self.target, strict=True):
            generator = torch.Generator(row.device).manual_seed(seed)
            rows.append(torch.empty_like(row).normal_(generator=generator))
        return torch.stack(rows)

    def _seeds(self, stream: int) -> list[int]:
        return sample_seeds(self.seed, self.batch.epoch, self.batch.ids, stream)
