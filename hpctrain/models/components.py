"""Principal components of volumes, with the mirror images that a training sees as well.

Directions of a covariance that no mirroring changes are even or odd along each mirrored axis. So
each kind is decomposed on its own: with k axes 2^k times smaller, and as good as from 2^k times as
many volumes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from hpctrain.errors import DataError

_MORE = 32
"""Directions beyond those wanted: the last ones of a randomised range are poor."""
_PASSES = 2
_CHUNK = 256
"""Volumes that are folded at once."""

Box = tuple[slice, ...]


class Components(NamedTuple):
    """The mean of volumes, and the directions of most variance around it, the largest first."""

    center: Tensor
    """(D, H, W)."""
    vectors: Tensor
    """(K, D, H, W), orthonormal."""
    variances: Tensor
    """(K,) along them."""
    rest: float
    """Mean of the variances along all other directions."""


@torch.no_grad()
def principal_components(volumes: Tensor, count: int, mirrored: Sequence[int] = ()) -> Components:
    """Find them by randomised ranges (Halko et al. 2011, arXiv 0909.4061, algorithm 4.4).

    Args:
        volumes: (N, D, H, W); they are overwritten.
        count: K, of the directions wanted.
        mirrored: axes out of 1, 2 and 3, of even length, along which mirror images are as likely.

    Raises:
        DataError: there are fewer directions.
    """
    size = volumes.shape[1:]
    for chunk in torch.split(volumes, _CHUNK):
        chunk.copy_(_folded(chunk, mirrored))
    boxes = _boxes(size, mirrored)
    center = torch.zeros_like(volumes[:1])
    even = (slice(None), *boxes[0])
    center[even] = volumes[even].mean(0, keepdim=True)  # of odd parts it vanishes
    volumes[even] -= center[even]
    total = sum(float(v.square().sum(dtype=torch.float64)) for v in volumes) / len(volumes)
    variances, vectors = _leading(volumes, boxes, count)
    left = math.prod(size) - count
    rest = max(total - float(variances.sum(dtype=torch.float64)), 0.0) / left if left else 0.0
    own = _unfolded(center, mirrored)[0], _unfolded(vectors, mirrored)
    return Components(*own, variances, rest)


def _leading(volumes: Tensor, boxes: Sequence[Box], count: int) -> tuple[Tensor, Tensor]:
    """Variances (K,) and directions (K, D, H, W) of folded volumes over all boxes."""
    parts = [volumes[(slice(None), *box)].flatten(1) for box in boxes]
    most = [min(part.shape) for part in parts]
    if sum(most) < count:
        raise DataError(
            f"train.network.linear_windows: found {len(volumes)} windows, which have {sum(most)} "
            f"directions, and train.network.latent_dim is {count}; give more windows"
        )
    width = -(-2 * count // len(parts))
    while True:
        found = [_range(part, min(width, n)) for part, n in zip(parts, most, strict=True)]
        joined = torch.cat([own for own, _ in found])
        owner = torch.cat([torch.full((len(own),), i) for i, (own, _) in enumerate(found)])
        best = joined.argsort(descending=True, stable=True)[:count]
        taken = torch.bincount(owner[best], minlength=len(parts)).tolist()
        # a box all of whose directions are wanted may have more of them
        if all(n < min(width, m) or n == m for n, m in zip(taken, most, strict=True)):
            break
        width *= 2
    vectors = volumes.new_zeros(count, *volumes.shape[1:])
    for i, (box, n) in enumerate(zip(boxes, taken, strict=True)):
        rows = (owner[best] == i).nonzero()[:, 0]
        part = vectors[(slice(None), *box)]
        part[rows] = found[i][1][:n].view(n, *part.shape[1:])
    return joined[best], vectors


def _range(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Variances (count,) and directions (count, n) of rows (N, n) around 0."""
    width = min(count + _MORE, *x.shape)
    start = torch.randn(x.shape[1], width, generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(start.to(x)).Q
    for _ in range(_PASSES):
        basis = torch.linalg.qr(x.T @ (x @ basis)).Q
    coded = x @ basis
    values, turn = torch.linalg.eigh(coded.T @ coded / len(x))
    order = values.argsort(descending=True)[:count]
    return values[order].clamp(min=0), (basis @ turn[:, order]).T


def _boxes(size: Sequence[int], mirrored: Sequence[int]) -> list[Box]:
    """Places of even and odd parts in folded volumes; the first is even along all axes."""
    choices = [
        (slice(0, n // 2), slice(n // 2, n)) if axis in mirrored else (slice(None),)
        for axis, n in enumerate(size, start=1)
    ]
    return list(product(*choices))


def _folded(x: Tensor, axes: Sequence[int]) -> Tensor:
    """(N, D, H, W) in an orthonormal basis of even and odd parts."""
    for axis in axes:
        first, second = x.chunk(2, axis)
        second = second.flip(axis)
        x = torch.cat((first + second, first - second), axis) * math.sqrt(0.5)
    return x


def _unfolded(x: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in axes:
        even, odd = x.chunk(2, axis)
        x = torch.cat((even + odd, (even - odd).flip(axis)), axis) * math.sqrt(0.5)
    return x
