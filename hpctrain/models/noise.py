"""Noise that enters a generator's layers, and where its draws come from.

The draws belong to the sample, not to the batch or the rank: the same sample gets the same noise
on one rank or on a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Noise = Callable[[Tensor], Tensor]
"""Takes a layer's activation (B, C, D, H, W), returns float32 noise (B, 1, D, H, W)."""


class ZeroNoise:
    """No noise: the generator's deterministic answer."""

    def __call__(self, like: Tensor) -> Tensor:
        """Zeros (B, 1, D, H, W) for an activation (B, C, D, H, W)."""
        return torch.zeros(like.shape[0], 1, *like.shape[2:], device=like.device)


class SampleNoise:
    """Standard normal noise, one stream of draws a sample.

    Each call goes on in the samples' streams, so the layers of one forward pass get different
    draws. Make a new object from the same seeds to repeat them. Streams of CPU and CUDA differ.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        """Start the streams.

        Args:
            seeds: one a sample, in the order of the batch; any whole numbers of 64 bits.
        """
        self.seeds = tuple(seeds)
        self._generators: list[torch.Generator] = []

    def __call__(self, like: Tensor) -> Tensor:
        """Next draws (B, 1, D, H, W) for an activation (B, C, D, H, W)."""
        if like.shape[0] != len(self.seeds):
            raise ValueError(f"noise: {len(self.seeds)} seeds for a batch of {like.shape[0]}")
        if not self._generators:
            self._generators = [_generator(seed, like.device) for seed in self.seeds]
        noise = torch.empty(like.shape[0], 1, *like.shape[2:], device=like.device)
        for row, generator in zip(noise, self._generators, strict=True):
            row.normal_(generator=generator)
        return noise

    def state(self) -> list[torch.Tensor] | None:
        """Where the streams are, for `set_state`; None before the first draw."""
        return [g.get_state() for g in self._generators] or None

    def set_state(self, state: list[torch.Tensor] | None) -> None:
        """Go on where the streams were."""
        if state is None:
            self._generators = []  # the next call starts them
            return
        for generator, value in zip(self._generators, state, strict=True):
            generator.set_state(value)


def _generator(seed: int, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    generator.manual_seed(seed)
    return generator


class AddNoise(nn.Module):
    """Adds noise with a learned strength a channel, 0 at the start (StyleGAN, section 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.std = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, noise: Noise) -> Tensor:
        """Add noise to x (B, C, D, H, W), in the precision of x."""
        # One operation: their product by itself would be as large as x, and not in its layout.
        return torch.addcmul(x, self.std.view(-1, 1, 1, 1).to(x.dtype), noise(x).to(x.dtype))


class ConcatenateNoise(nn.Module):
    """Appends noise as one more channel."""

    def forward(self, x: Tensor, noise: Noise) -> Tensor:
        """(B, C, D, H, W) to (B, C + 1, D, H, W), in the precision of x."""
        return torch.cat((x, noise(x).to(x.dtype)), 1)


class NoNoise(nn.Module):
    """Leaves the activation as it is and draws nothing."""

    def forward(self, x: Tensor, noise: Noise) -> Tensor:
        """Return x (B, C, D, H, W)."""
        return x
