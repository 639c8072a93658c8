"""Power spectra of scalar fields in a box, or of slices through it, in physical units.

P(k) = V <|d_k|^2> with d_k = (1/N) sum_x d(x) exp(-i k x), the mean going over all modes whose
|k| lies in a bin. V is the sample's volume and N its number of cells, so P has the unit of the
field squared times length^D, where D counts the axes longer than one cell. This is the convention
of Peebles 1980 (section 41); white noise of variance s^2 in cells of volume v has P = v s^2 at
all k. For a density contrast give x / mean, or divide P by the mean squared.

A bin holds the modes whose |k| rounds to the same multiple of the fundamental wave number of the
longest axis, 2 pi / L; modes beyond the smallest Nyquist number belong to none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bins:
    """Where the modes of a transform belong."""

    k: Tensor
    """(K,) mean |k| of each bin, in radians per unit of length."""
    modes: Tensor
    """(K,) number of modes in each bin, counting both of a conjugate pair."""
    index: Tensor
    """Bin of each mode of `rfftn`, flat; K: none."""
    weights: Tensor
    """How many modes each stands for, flat."""


def box_bins(
    size: Sequence[int], cell_size: float = 1.0, device: torch.device | str = "cpu"
) -> Bins:
    """Bins of samples of one size.

    Args:
        size: cells along the axes; those of one cell count as absent.
        cell_size: edge of a cell.
        device: where they are wanted.

    Raises:
        ValueError: no axis is longer than one cell.
    """
    cells = tuple(int(n) for n in size if n > 1)
    if not cells:
        raise ValueError(f"size {tuple(size)} has no spectrum; give an axis of 2 cells or more")
    return _bins(cells, float(cell_size), torch.device(device))


def box_spectra(fields: Tensor, cell_size: float = 1.0, *, is_periodic: bool = True) -> Tensor:
    """P(k) of each field; see the module for its definition. Can be differentiated.

    Args:
        fields: (B, C, *size).
        cell_size: edge of a cell.
        is_periodic: False for a part of a box: its mean is taken away and a Hann window laid over
            it, whose mean square is divided out, because sharp edges would leak power from large
            scales into all others (Harris 1978). The lowest two bins then mix.

    Returns:
        (B, C, K), in the dtype of the fields, of float32 at least; bins as of `box_bins`.
    """
    x = fields.float() if fields.dtype in (torch.float16, torch.bfloat16) else fields
    cells = tuple(n for n in x.shape[2:] if n > 1)
    bins = box_bins(cells, cell_size, x.device)
    x = x.reshape(*x.shape[:2], *cells)
    axes = tuple(range(2, x.ndim))
    count = math.prod(cells)
    scale = cell_size ** len(cells) / count
    if not is_periodic:
        window = _hann(cells, x)
        x = (x - (x * window).sum(axes, keepdim=True) / window.sum()) * window
        scale = scale / float(window.square().mean())
    modes = torch.fft.rfftn(x, dim=axes)
    power = (modes.real.square() + modes.imag.square()).flatten(2) * bins.weights.to(x.dtype)
    sums = power.new_zeros(*power.shape[:2], len(bins.k) + 1)
    sums = sums.index_add(2, bins.index, power)[..., :-1]
    power_of_bins: Tensor = sums * (scale / bins.modes.to(x.dtype))
    return power_of_bins


@lru_cache(maxsize=16)
def _bins(cells: tuple[int, ...], cell_size: float, device: torch.device) -> Bins:
    width = max(cells)
    axes = [torch.fft.fftfreq(n, dtype=torch.float64) for n in cells[:-1]]
    axes.append(torch.fft.rfftfreq(cells[-1], dtype=torch.float64))
    grids = torch.meshgrid(*axes, indexing="ij")
    radius = torch.stack(grids).square().sum(0).sqrt().flatten() * width  # in fundamental units
    last = min(width * (n // 2) // n for n in cells)
    index = torch.floor(radius + 0.5).long() - 1
    index[(index < 0) | (index >= last)] = last
    half = torch.full((cells[-1] // 2 + 1,), 2.0, dtype=torch.float64)
    half[0] = 1.0  # rfftn leaves out the conjugate half, but for what meets itself
    if cells[-1] % 2 == 0:
        half[-1] = 1.0
    weights = half.expand(grids[0].shape).flatten()
    modes = torch.zeros(last + 1, dtype=torch.float64).index_add(0, index, weights)[:-1]
    total = torch.zeros(last + 1, dtype=torch.float64).index_add(0, index, weights * radius)[:-1]
    k = total / modes * (2 * math.pi / (width * cell_size))
    return Bins(k.to(device), modes.to(device), index.to(device), weights.to(device))


def _hann(cells: Sequence[int], like: Tensor) -> Tensor:
    """Product of a Hann window along each axis, sampled at the cells' centres."""
    window = torch.ones(tuple(cells), dtype=like.dtype, device=like.device)
    for axis, n in enumerate(cells):
        centres = (torch.arange(n, dtype=like.dtype, device=like.device) + 0.5) / n
        side = torch.sin(math.pi * centres).square()
        window = window * side.view([n if a == axis else 1 for a in range(len(cells))])
    return window
