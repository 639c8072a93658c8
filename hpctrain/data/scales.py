"""Normalisation: one shift and scale a channel, measured once on training files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hpctrain.data.source import FieldSource
from hpctrain.errors import DataError
from hpctrain.log import logger

Kind = Literal["standard", "minmax", "none"]
Values = TypeVar("Values", NDArray[np.float32], torch.Tensor)

MAX_FILES = 16
SLAB_BYTES = 32 << 20
VELOCITY = ("vx", "vy", "vz")


@dataclass(frozen=True)
class Scales:
    """y = (x - shift) / scale, channel by channel."""

    names: tuple[str, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    inputs: Scales | None = None
    """Scales of inputs that have other channels than the targets; None: those of the targets."""

    @property
    def for_inputs(self) -> Scales:
        """What low-resolution fields are normalised by."""
        return self.inputs or self

    def normalize(self, x: Values, channel_axis: int = -4) -> Values:
        """Physical to normalised values of the same shape; (..., C, n0, n1, n2) by default."""
        shift, scale = self._along(x, channel_axis)
        return (x - shift) / scale

    def denormalize(self, y: Values, channel_axis: int = -4) -> Values:
        """Inverse of `normalize`, up to rounding."""
        shift, scale = self._along(y, channel_axis)
        return y * scale + shift

    def normalize_(self, x: NDArray[np.float32]) -> None:
        """Normalise one sample (C, n0, n1, n2) in place."""
        for channel, shift, scale in zip(x, self.shift, self.scale, strict=True):
            if shift != 0:
                channel -= np.float32(shift)
            if scale != 1:
                channel *= np.float32(1 / scale)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint or JSON."""
        own = {"names": list(self.names), "shift": list(self.shift), "scale": list(self.scale)}
        return own | ({"inputs": self.inputs.to_dict()} if self.inputs else {})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scales:
        """Inverse of `to_dict`."""
        inner = values.get("inputs")
        parts = (tuple(values["names"]), tuple(values["shift"]), tuple(values["scale"]))
        return cls(*parts, cls.from_dict(inner) if inner else None)

    def _along(self, x: Values, axis: int) -> tuple[Values, Values]:
        shape = [1] * x.ndim
        shape[axis] = -1
        if isinstance(x, torch.Tensor):
            return x.new_tensor(self.shift).view(shape), x.new_tensor(self.scale).view(shape)
        shift, scale = (np.asarray(v, x.dtype).reshape(shape) for v in (self.shift, self.scale))
        return shift, scale


@dataclass
class _Moments:
    """Count, mean, sum of squared deviations, and range of one channel, in float64."""

    count: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, x: NDArray[np.float32]) -> None:
        """Join a block (Chan, Golub and LeVeque 1979, eq. 2.1)."""
        count, mean = x.size, float(x.mean(dtype=np.float64))
        deviation = float(x.var(dtype=np.float64)) * count
        delta, total = mean - self.mean, self.count + count
        self.deviation += deviation + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))

    @property
    def mean_square(self) -> float:
        return self.deviation / self.count + self.mean**2

    @property
    def largest(self) -> float:
        return max(abs(self.low), abs(self.high))


def measure_scales(
    source: FieldSource, kind: Kind, vectors: Sequence[Sequence[int]] = ()
) -> Scales:
    """Measure the scales of a source, over at most 16 files spread evenly, slab by slab.

    Components of a vector share one scale and have shift 0, so that turning the vector and
    normalising it commute.

    Args:
        source: training files; its grid is settled.
        kind: 'standard': mean 0, deviation 1 (vectors: mean square 1); 'minmax': into [-1, 1].
        vectors: channels that are components of one vector.

    Raises:
        DataError: a number that is not finite.
    """
    if kind == "none":
        zeros = (0.0,) * len(source.names)
        return Scales(source.names, zeros, (1.0,) * len(zeros))
    moments = [_Moments() for _ in source.names]
    for slab in _slabs(source):
        for channel, values in zip(moments, slab, strict=True):
            channel.add(values)
    pairs = [_scalar(m, kind) for m in moments]
    for vector in vectors:
        shared = _vector([moments[c] for c in vector], kind)
        for c in vector:
            pairs[c] = (0.0, shared)
    fixed = [(s, _usable(v, name)) for (s, v), name in zip(pairs, source.names, strict=True)]
    return Scales(source.names, tuple(s for s, _ in fixed), tuple(v for _, v in fixed))


def vectors_of(names: Sequence[str], geometry: str, is_field: Sequence[slice]) -> list[list[int]]:
    """Channels that form vectors: vx, vy, vz by name; in a box also npy files of 3 channels.

    Args:
        names: of the channels.
        geometry: 'sphere' or 'box'.
        is_field: channels of each file array; map2map takes three channels in 3D for a vector.
    """
    named = [names.index(v) for v in VELOCITY if v in names]
    if len(named) > 1:
        return [named]
    if geometry == "box":
        return [list(range(*s.indices(len(names)))) for s in is_field if s.stop - s.start == 3]
    return []


def _slabs(source: FieldSource) -> Iterator[NDArray[np.float32]]:
    """Whole fields of some files, cut along the slowest axis so that memory stays bounded."""
    if source.axes is None:
        raise DataError("scales are measured before the grid is settled")
    sizes = [axis.size for axis in source.axes]
    slow = source.slow_axis
    row_bytes = 4 * len(source.names) * math.prod(sizes) // sizes[slow]
    rows = max(1, SLAB_BYTES // row_bytes)
    count = min(MAX_FILES, len(source))
    for file in sorted({round(i * (len(source) - 1) / max(count - 1, 1)) for i in range(count)}):
        for first in range(0, sizes[slow], rows):
            yield source.read_rows(file, first, min(rows, sizes[slow] - first))


def _scalar(m: _Moments, kind: Kind) -> tuple[float, float]:
    if kind == "minmax":
        return 0.5 * (m.high + m.low), 0.5 * (m.high - m.low)
    return m.mean, math.sqrt(m.deviation / m.count)


def _vector(parts: Sequence[_Moments], kind: Kind) -> float:
    if kind == "minmax":
        return max(m.largest for m in parts)
    return math.sqrt(sum(m.mean_square for m in parts) / len(parts))


def _usable(scale: float, name: str) -> float:
    if scale > 0:
        return scale
    logger.warning("%s is constant in the training files; it is only shifted, not scaled", name)
    return 1.0
