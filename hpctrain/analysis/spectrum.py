"""Radially binned power spectra of crops, and the distance of two spectra.

A crop is not periodic, so its sharp edges leak power from large scales into all others; the Hann
window takes that away (Harris 1978, table 1). Powers are per mode, so that white noise is flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

Window = Literal["hann"] | None

FLOOR = 1e-12
"""Share of a spectrum's peak below which float32 transforms hold only rounding noise."""


def power_spectrum(x: Tensor, window: Window = "hann") -> tuple[Tensor, Tensor]:
    """Mean power per mode in bins of |k|, averaged over the batch.

    Args:
        x: fields, (B, C, D, H, W); an axis of length 1 counts as absent.
        window: None for periodic fields, `hann` for crops.

    Returns:
        k: (K,) bin centres 1, 2, ... in cycles per sample width, which is the longest axis.
        power: (C, K) float64, in the square of the field's unit; without a window the sum over
            all modes is the field's variance (Parseval).
    """
    total = SpectrumSum(x.shape[1], x.shape[2:], window, x.device)
    total.add(x)
    return total.k, total.power()


class SpectrumSum:
    """Sum of spectra over batches, which can then be summed over ranks.

    A rank that saw no batch holds zeros of the same shape, so that every rank can take part.

    Args:
        num_channels: C of the fields.
        size: (D, H, W) of the fields.
        window: as for `power_spectrum`.
        device: where the sums are kept.
    """

    def __init__(
        self,
        num_channels: int,
        size: Sequence[int],
        window: Window = "hann",
        device: torch.device | str = "cpu",
    ) -> None:
        self.size = tuple(int(n) for n in size)
        if len(self.size) != 3 or max(self.size) < 2:
            raise ValueError(f"size {self.size} has no spectrum; give (D, H, W) with an axis >= 2")
        self.window = window
        self.k, self._modes = _bin_centres(self.size, torch.device(device))
        self._power = torch.zeros(
            num_channels, len(self.k), dtype=torch.float64, device=torch.device(device)
        )
        self._count = torch.zeros(1, dtype=torch.float64, device=torch.device(device))

    @property
    def modes(self) -> Tensor:
        """Number of Fourier modes in each bin, (K,)."""
        return self._modes

    def add(self, x: Tensor) -> None:
        """Add one batch of fields, (B, C, D, H, W) of any floating type."""
        if tuple(x.shape[2:]) != self.size or x.shape[1] != len(self._power):
            raise ValueError(
                f"fields of shape {tuple(x.shape)} do not fit a spectrum of "
                f"{len(self._power)} channels of size {self.size}"
            )
        self._power += _binned_power(x.detach(), self.window)
        self._count += len(x)

    def tensors(self) -> list[Tensor]:
        """The sums themselves, (C, K) and (1,); add them over ranks in place."""
        return [self._power, self._count]

    def power(self) -> Tensor:
        """Mean spectrum of all fields that were added, (C, K)."""
        if not self._count.item():
            raise ValueError("no field was added to this spectrum")
        return self._power / self._count


def layer_spectra(x: Tensor, window: Window = "hann") -> Tensor:
    """Mean power per mode in bins of |k|, of each layer by itself.

    Args:
        x: fields, (B, C, D, H, W); H or W longer than 1.
        window: as for `power_spectrum`.

    Returns:
        (B, D, C, K) float64.
    """
    batch, channels, depth = x.shape[:3]
    layers = x.transpose(1, 2).reshape(1, batch * depth * channels, 1, *x.shape[3:])
    return _binned_power(layers, window).view(batch, depth, channels, -1)


def log_spectrum_error(p: Tensor, q: Tensor) -> float:
    """Root mean square over all bins (and channels) of log10(p / q).

    0 is a perfect spectrum, 0.3 is wrong by a factor of two in power. See `log_spectrum_errors` for
    channels without structure, which are left out.

    Args:
        p: spectrum to judge, (..., K).
        q: spectrum of the truth, of the same shape.

    Returns:
        The error in decades; NaN where the truth has no structure at all.
    """
    errors = log_spectrum_errors(p, q)
    return float(errors[q.amax(-1) > 0].square().mean().sqrt())


def log_spectrum_errors(p: Tensor, q: Tensor) -> Tensor:
    """Root mean square over bins of log10(p / q), channel by channel.

    Powers below `FLOOR` of the truth's peak are set to it: there float32 transforms hold only
    rounding noise. A truth without power is no yardstick: any error, however small, would be
    infinitely many decades.

    Args:
        p: spectra to judge, (..., K).
        q: spectra of the truth, of the same shape.

    Returns:
        (...) float64, in decades; NaN where the truth has no power.
    """
    if p.shape != q.shape:
        raise ValueError(f"spectra of shapes {tuple(p.shape)} and {tuple(q.shape)} differ")
    p, q = p.double(), q.double()
    floor = q.amax(dim=-1, keepdim=True) * FLOOR
    ratio = torch.log10(torch.maximum(p, floor) / torch.maximum(q, floor))
    errors: Tensor = ratio.square().mean(-1).sqrt()
    return torch.where(floor[..., 0] > 0, errors, torch.nan)


def _binned_power(x: Tensor, window: Window) -> Tensor:
    """Sum over the batch of the mean power of each bin, (C, K)."""
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    size = tuple(x.shape[2:])
    bins, weights = _bins(size, x.device)
    taper = _taper(size, window, x)
    # The weighted mean goes first: it is no structure, and would leak into the lowest bins.
    mean = (x * taper).sum(dim=(2, 3, 4), keepdim=True) / taper.sum()
    modes = torch.fft.rfftn((x - mean) * taper, dim=(2, 3, 4))
    # |F|^2 / N^2 adds up to the variance; the window's mean square restores what it took away.
    scale = x[0, 0].numel() ** 2 * float(taper.square().mean())
    power = (modes.real.square() + modes.imag.square()).sum(0).flatten(1).double() * weights / scale
    k, count = _bin_centres(size, x.device)
    sums = torch.zeros(len(power), len(k) + 2, dtype=torch.float64, device=x.device)
    return sums.index_add_(1, bins, power)[:, 1:-1] / count


def _taper(size: Sequence[int], window: Window, like: Tensor) -> Tensor:
    """Product of one window an axis, (D, H, W); ones without a window."""
    if window not in ("hann", None):
        raise ValueError(f"window {window!r} is unknown; choose 'hann' or None")
    taper = torch.ones(tuple(size), dtype=like.dtype, device=like.device)
    if window is None:
        return taper
    for axis, n in enumerate(size):
        if n > 1:
            # Sampled at cell centres: symmetric, and no cell is thrown away with weight 0.
            cells = torch.arange(n, dtype=like.dtype, device=like.device)
            side = torch.sin(torch.pi * (cells + 0.5) / n).square()
            taper = taper * side.reshape([n if a == axis else 1 for a in range(3)])
    return taper


@lru_cache(maxsize=8)
def _bins(size: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Bin of each mode of rfftn and how many modes it stands for, both flat.

    Wave numbers are taken per cell, so that a sphere in k is a sphere in cells whatever the shape
    of the crop. Bin 0 is the mean; the last bin collects all beyond the smallest Nyquist number.
    """
    width = max(size)
    axes = [torch.fft.fftfreq(n, dtype=torch.float64) for n in size[:2]]
    axes.append(torch.fft.rfftfreq(size[2], dtype=torch.float64))
    squares = [axis.square() for axis in axes]
    radius = (squares[0][:, None, None] + squares[1][:, None] + squares[2]).sqrt() * width
    last = _last_bin(size)
    bins = torch.floor(radius + 0.5).long().clamp_max(last + 1)
    # rfftn leaves out the half that is conjugate to the other, except where it meets itself.
    weights = torch.full((size[2] // 2 + 1,), 2.0, dtype=torch.float64)
    weights[0] = 1.0
    if size[2] % 2 == 0:
        weights[-1] = 1.0
    return bins.flatten().to(device), weights.expand_as(bins).flatten().to(device)


def _last_bin(size: Sequence[int]) -> int:
    """Smallest Nyquist number of all axes, in cycles per sample width."""
    return max(1, min(max(size) * (n // 2) // n for n in size if n > 1))


@lru_cache(maxsize=8)
def _bin_centres(size: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Bin centres (K,) and the number of modes in each bin (K,)."""
    bins, weights = _bins(size, device)
    last = _last_bin(size)
    count = torch.zeros(last + 2, dtype=torch.float64, device=device)
    count.index_add_(0, bins, weights)
    return torch.arange(1, last + 1, dtype=torch.float64, device=device), count[1:-1]
