"""Normalisation: one shift and scale a channel, measured once on training files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hpctrain.data.norms import Norm, make_norm
from hpctrain.data.source import FieldSource
from hpctrain.errors import DataError
from hpctrain.log import logger

Kind = Literal["standard", "minmax", "none"]
Values = TypeVar("Values", NDArray[np.float32], torch.Tensor)

MAX_FILES = 16
SLAB_BYTES = 32 << 20
VELOCITY = ("vx", "vy", "vz")


@dataclass(frozen=True)
class FieldNorm:
    """A normalisation of some channels, before shift and scale; plain values, for a checkpoint."""

    start: int
    stop: int
    kind: str
    options: dict[str, Any]
    then: Kind = "none"
    """The scale measured behind it."""

    @cached_property
    def norm(self) -> Norm | None:
        """The pair of functions."""
        return make_norm(self.kind, self.options)


@dataclass(frozen=True)
class Scales:
    """y = (g(x) - shift) / scale, channel by channel; g is a normalisation, or nothing."""

    names: tuple[str, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    inputs: Scales | None = None
    """Scales of inputs that have other channels than the targets; None: those of the targets."""
    norms: tuple[FieldNorm, ...] = ()
    """What is done to a field's channels first."""

    @property
    def for_inputs(self) -> Scales:
        """What low-resolution fields are normalised by."""
        return self.inputs or self

    def normalize(self, x: Values, channel_axis: int = -4) -> Values:
        """Physical to normalised values of the same shape; (..., C, n0, n1, n2) by default."""
        x = self._mapped(x, channel_axis, "normalize")
        shift, scale = self._along(x, channel_axis)
        return (x - shift) / scale

    def denormalize(self, y: Values, channel_axis: int = -4) -> Values:
        """Inverse of `normalize`, up to rounding."""
        shift, scale = self._along(y, channel_axis)
        return self._mapped(y * scale + shift, channel_axis, "denormalize")

    def normalize_(self, x: NDArray[np.float32], where: str = "") -> None:
        """Normalise one sample (C, n0, n1, n2) in place.

        Args:
            x: the sample.
            where: its name, for messages.

        Raises:
            DataError: a value that a normalisation has no number for, such as the log of 0.
        """
        for part in self.norms:
            if part.norm is not None:
                own = x[part.start : part.stop]
                own[...] = part.norm.normalize(own)
                _check_mapped(own, self.names[part.start : part.stop], part.kind, where)
        for channel, shift, scale in zip(x, self.shift, self.scale, strict=True):
            if shift != 0:
                channel -= np.float32(shift)
            if scale != 1:
                channel *= np.float32(1 / scale)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint or JSON."""
        own = {"names": list(self.names), "shift": list(self.shift), "scale": list(self.scale)}
        norms = {"norms": [asdict(part) for part in self.norms]} if self.norms else {}
        return own | norms | ({"inputs": self.inputs.to_dict()} if self.inputs else {})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scales:
        """Inverse of `to_dict`."""
        inner = values.get("inputs")
        parts = (tuple(values["names"]), tuple(values["shift"]), tuple(values["scale"]))
        norms = tuple(FieldNorm(**part) for part in values.get("norms", ()))
        return cls(*parts, cls.from_dict(inner) if inner else None, norms)

    def _mapped(self, x: Values, axis: int, method: str) -> Values:
        """Values behind the normalisations of the fields, or before them."""
        if not any(part.norm is not None for part in self.norms):
            return x
        mapped = x.clone() if isinstance(x, torch.Tensor) else x.copy()
        for part in self.norms:
            if part.norm is not None:
                cells: list[Any] = [slice(None)] * x.ndim
                cells[axis] = slice(part.start, part.stop)
                own = mapped[tuple(cells)]
                own[...] = getattr(part.norm, method)(own)
        return mapped

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
    source: FieldSource,
    kind: Kind,
    vectors: Sequence[Sequence[int]] = (),
    norms: Sequence[FieldNorm] = (),
) -> Scales:
    """Measure the scales of a source, over at most 16 files spread evenly, slab by slab.

    Components of a vector share one scale and have shift 0, so that turning the vector and
    normalising it commute.

    Args:
        source: training files; its grid is settled.
        kind: 'standard': mean 0, deviation 1 (vectors: mean square 1); 'minmax': into [-1, 1].
        vectors: channels that are components of one vector.
        norms: what is done to fields first; each says which scale is measured behind it.

    Raises:
        DataError: a number that is not finite.
    """
    kinds = [kind] * len(source.names)
    for part in norms:
        kinds[part.start : part.stop] = [part.then] * (part.stop - part.start)
    mapped = Scales(source.names, (0.0,) * len(kinds), (1.0,) * len(kinds), norms=tuple(norms))
    if all(k == "none" for k in kinds):
        return mapped
    moments = [_Moments() for _ in source.names]
    for slab in _slabs(source):
        mapped.normalize_(slab, "a training file")
        for channel, values in zip(moments, slab, strict=True):
            channel.add(values)
    pairs = [
        (0.0, 1.0) if k == "none" else _scalar(m, k) for m, k in zip(moments, kinds, strict=True)
    ]
    for vector in vectors:
        if kinds[vector[0]] == "none":
            continue
        shared = _vector([moments[c] for c in vector], kinds[vector[0]])
        for c in vector:
            pairs[c] = (0.0, shared)
    fixed = [(s, _usable(v, name)) for (s, v), name in zip(pairs, source.names, strict=True)]
    shifts, scales = tuple(s for s, _ in fixed), tuple(v for _, v in fixed)
    return replace(mapped, shift=shifts, scale=scales)


def _check_mapped(values: NDArray[np.float32], names: Sequence[str], kind: str, where: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        channel = int(np.argwhere(bad)[0][0])
        raise DataError(
            f"{where}: {kind} of {names[channel]!r} is no number somewhere; choose a normalisation "
            "that is defined for all its values, such as log1p for densities"
        )


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
