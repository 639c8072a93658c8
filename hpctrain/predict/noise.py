"""Noise that belongs to places in a field: the same cell gets the same draw whatever the tiling.

Each number is a function of (seed, layer, place) alone: SplitMix64's finaliser (Steele, Lea and
Flood 2014, figure 16) of a counter, and then Box and Muller's transform.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn

from hpctrain.models import Noise, ZeroNoise
from hpctrain.train.draws import sample_seed

Triple = tuple[int, int, int]
NoisyCall = Callable[[nn.Module, Tensor, Noise], object]

_BITS = 21
"""Of a place along one axis; three make a counter."""
_GOLDEN, _MIX_1, _MIX_2 = (
    v - 2**64 for v in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
"""As the signed numbers that torch has."""


@dataclass(frozen=True)
class Layer:
    """Where the activation lies that a layer's noise is for."""

    scale: Fraction
    """Its cells for each input cell."""
    margins: tuple[Fraction, Fraction, Fraction]
    """Its cells that were cut off before its first one, along each axis."""


class _Recorder(ZeroNoise):
    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def __call__(self, like: Tensor) -> Tensor:
        self.sizes.append(tuple(like.shape[2:]))
        return super().__call__(like)


def layers_of(
    network: nn.Module, call: NoisyCall, channels: int, size: Triple, period: int
) -> tuple[Layer, ...]:
    """Find where the activations lie that a network asks noise for, from two inputs' sizes.

    Args:
        network: on the meta device.
        call: calls it with a field and a noise.
        channels: of the input.
        size: input cells along each axis, halo included.
        period: input cells after which larger inputs fit again.
    """
    found = []
    for more in (0, 2 * period):
        recorder = _Recorder()
        with torch.no_grad():
            x = torch.empty(1, channels, *(n + more for n in size), device="meta")
            call(network, x, recorder)
        found.append(recorder.sizes)
    layers = []
    for small, large in zip(*found, strict=True):
        scale = Fraction(large[-1] - small[-1], 2 * period)
        a, b, c = ((scale * n - m) / 2 for n, m in zip(size, small, strict=True))
        layers.append(Layer(scale, (a, b, c)))
    return tuple(layers)


class PlacedNoise:
    """Standard normal noise of one tile; make one for each forward pass."""

    def __init__(
        self,
        seed: int,
        layers: Sequence[Layer],
        start: Triple,
        periods: tuple[int | None, int | None, int | None],
    ) -> None:
        """Say where the tile lies.

        Args:
            seed: of the field, any whole number.
            layers: see `layers_of`.
            start: first input cell of the tile with its halo; may be negative.
            periods: input cells after which an axis begins anew; None: never.
        """
        self._seed, self._layers, self._start, self._periods = seed, layers, start, periods
        self._calls = 0

    def __call__(self, like: Tensor) -> Tensor:
        """Float32 noise (1, 1, D, H, W) for an activation (1, C, D, H, W)."""
        number, self._calls = self._calls, self._calls + 1
        layer = self._layers[number]
        places = [self._places(layer, axis, n) for axis, n in enumerate(like.shape[2:])]
        key = np.random.SeedSequence([self._seed, number]).generate_state(1, np.uint64)
        return normals(int(key[0]), places, like.device)[None, None]

    def _places(self, layer: Layer, axis: int, count: int) -> Tensor:
        first = math.floor(layer.scale * self._start[axis] + layer.margins[axis])
        cells = torch.arange(first, first + count)
        period = self._periods[axis]
        if period is not None and (layer.scale * period).denominator == 1:
            cells %= int(layer.scale * period)
        return cells


def member_seed(seed: int, member: int, name: str) -> int:
    """Seed of one member of an ensemble.

    It belongs to the input's name, so that one file alone gets the noise that it gets among many.

    Args:
        seed: of the run, or as asked for.
        member: its number.
        name: of the input's first file.
    """
    words = np.random.SeedSequence(list(name.encode())).generate_state(1)
    return sample_seed(seed, member, int(words[0]))


def normals(key: int, places: Sequence[Tensor], device: torch.device) -> Tensor:
    """Standard normal numbers that belong to places.

    Args:
        key: of the stream, 64 bits.
        places: whole numbers of less than 2^20 along each of three axes.
        device: where they are wanted.

    Returns:
        (n0, n1, n2), float32.
    """
    a, b, c = ((p.to(device) + (1 << (_BITS - 1))) & ((1 << _BITS) - 1) for p in places)
    counter = ((a << (2 * _BITS))[:, None, None] + (b << _BITS)[:, None]) + c
    counter.mul_(_GOLDEN).add_(key - 2**64 if key >= 2**63 else key)
    x = _mixed(_mixed(counter, 30, _MIX_1), 27, _MIX_2)
    x.bitwise_xor_(_shifted(x, 31))
    u, v = ((_shifted(x, s) & 0xFFFFFF).float().add_(0.5).mul_(2.0**-24) for s in (40, 16))
    return u.log_().mul_(-2).sqrt_().mul_(v.mul_(2 * math.pi).cos_())


def _mixed(x: Tensor, shift: int, factor: int) -> Tensor:
    return x.bitwise_xor_(_shifted(x, shift)).mul_(factor)


def _shifted(x: Tensor, by: int) -> Tensor:
    """To the right, with zeros from the left: torch has no unsigned numbers to do it with."""
    return (x >> by) & ((1 << (64 - by)) - 1)
