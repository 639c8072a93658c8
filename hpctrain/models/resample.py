"""Trilinear resampling by powers of two, and the margins it costs.

Cells are averages over their extent, so sample positions are cell centres (`align_corners=False`).
Edges whose value would need a cell outside are cut off instead of guessed: n cells become 2n - 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpctrain.errors import ConfigError

# Weights of the input cells q = i, i+1, i+2 in output 2i + phase of "upsample, then convolve",
# for tap k of the kernel: _PHASES[phase][q][k].
_PHASES = (
    ((0.75, 0.25, 0.0), (0.25, 0.75, 0.75), (0.0, 0.0, 0.25)),
    ((0.25, 0.0, 0.0), (0.75, 0.75, 0.25), (0.0, 0.25, 0.75)),
)


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Context in which autocast leaves operations alone; the meta device has none."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def num_halvings(upscale_factor: int) -> int:
    """Base-2 logarithm of an upscale factor.

    Raises:
        ConfigError: it is not a power of two of at least 2.
    """
    if upscale_factor < 2 or upscale_factor & (upscale_factor - 1):
        raise ConfigError(
            f"upscale_factor: {upscale_factor} is not a power of two; choose 2, 4, 8 or 16"
        )
    return upscale_factor.bit_length() - 1


def required_halo(upscale_factor: int) -> int:
    """Input cells that a generator needs on each side of the cells it is asked for.

    Each doubling turns n cells into 2n - 6, so n cells give f n - 6 (f - 1): f h >= 3 (f - 1).
    """
    num_halvings(upscale_factor)
    return math.ceil(3 * (upscale_factor - 1) / upscale_factor)


def narrow_by(x: Tensor, margin: int) -> Tensor:
    """Cut `margin` cells off both ends of the three last axes of x (B, C, D, H, W).

    Written as padding: the gradient of a slice is contiguous, whatever the layout of x, and each
    operation on tensors of two layouts takes ten times as long.
    """
    return F.pad(x, (-margin,) * 6) if margin else x


def crop_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """The exact centre of a volume.

    Args:
        x: (B, C, D, H, W).
        size: cells wanted along D, H, W.

    Raises:
        ConfigError: x is too small, or its centre falls between cells.
    """
    for axis, want in enumerate(size, start=2):
        excess = x.shape[axis] - want
        if excess < 0 or excess % 2:
            raise ConfigError(
                f"crop: cannot cut the centre {tuple(size)} out of {tuple(x.shape[2:])}; "
                "each axis must exceed it by an even number of cells; check crop and halo"
            )
        x = x.narrow(axis, excess // 2, want)
    return x


def upsample2(x: Tensor) -> Tensor:
    """Double the resolution by linear interpolation and drop the edges.

    Written with slices, whose gradient repeats bit for bit on every device; the gradient of
    `F.interpolate` does not on CUDA.

    Args:
        x: (B, C, D, H, W).

    Returns:
        (B, C, 2D-2, 2H-2, 2W-2).
    """
    for axis in (4, 3, 2):
        n = x.shape[axis] - 1
        a, b = x.narrow(axis, 0, n), x.narrow(axis, 1, n)
        pair = (torch.lerp(a, b, 0.25), torch.lerp(a, b, 0.75))
        x = torch.stack(pair, axis + 1).flatten(axis, axis + 1)
    return x


def downsample2(x: Tensor) -> Tensor:
    """Halve the resolution by the mean of neighbouring pairs; an odd last cell is dropped.

    Args:
        x: (B, C, D, H, W).

    Returns:
        (B, C, D//2, H//2, W//2).
    """
    if torch.are_deterministic_algorithms_enabled():
        size = [n // 2 for n in x.shape[2:]]
        x = crop_start(x, [2 * n for n in size])
        pairs = x.reshape(*x.shape[:2], size[0], 2, size[1], 2, size[2], 2)
        return pairs.mean((3, 5, 7))
    # At a factor of exactly 1/2 linear interpolation is this mean, and the fastest way to it.
    # Autocast would turn it into float32.
    with full_precision(x):
        return F.interpolate(x, scale_factor=0.5, mode="trilinear", align_corners=False)


def crop_start(x: Tensor, size: Sequence[int]) -> Tensor:
    """The first `size` cells of x (B, C, D, H, W) along D, H, W."""
    return x[..., : size[0], : size[1], : size[2]]


def upsample_trilinear(x: Tensor, factor: int, halo: int | Sequence[int]) -> Tensor:
    """Plain trilinear upsampling of the centre: the baseline, and what the critic compares with.

    Args:
        x: (B, C, D, H, W) with `halo` cells around the cells that are wanted.
        factor: any whole number.
        halo: on each side of all axes or of each; 0 repeats the edge cells, 1 and more are equally
            exact.

    Returns:
        (B, C, factor (D - 2 halo), factor (H - 2 halo), factor (W - 2 halo)).
    """
    halos = (halo,) * 3 if isinstance(halo, int) else tuple(halo)
    kept = 0 if factor == 1 else 1
    x = _without(x, [h - min(h, kept) for h in halos])
    if factor == 1:
        return x
    y = F.interpolate(x, scale_factor=float(factor), mode="trilinear", align_corners=False)
    return _without(y, [min(h, kept) * factor for h in halos])


def upsample_tricubic(x: Tensor, factor: int, halo: int | Sequence[int]) -> Tensor:
    """Cubic convolution along each axis (Keys 1981, a = -1/2): the sharper of the plain baselines.

    Exact for polynomials of second degree.

    Args:
        x: (B, C, D, H, W) with `halo` cells around the cells that are wanted.
        factor: any whole number.
        halo: as for `upsample_trilinear`; of fewer than 2 cells the edge cells are repeated.

    Returns:
        (B, C, factor (D - 2 halo), factor (H - 2 halo), factor (W - 2 halo)).
    """
    halos = (halo,) * 3 if isinstance(halo, int) else tuple(halo)
    if factor == 1:
        return _without(x, halos)
    x = _without(x, [h - min(h, 2) for h in halos])
    missing = [2 - min(h, 2) for h in halos for _ in range(2)]
    x = F.pad(x, missing[::-1], mode="replicate")
    taps = _cubic_taps(factor).to(x)
    for axis in (2, 3, 4):
        x = (x.unfold(axis, 5, 1) @ taps).movedim(-1, axis + 1).flatten(axis, axis + 1)
    return x


def _cubic_taps(factor: int) -> Tensor:
    """Weights (5, factor) of the cells i - 2 to i + 2 in the `factor` cells within cell i."""
    centres = (torch.arange(factor, dtype=torch.float64) + 0.5) / factor - 0.5
    d = (torch.arange(-2.0, 3.0, dtype=torch.float64)[:, None] - centres).abs()
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def _without(x: Tensor, margins: Sequence[int]) -> Tensor:
    """Cut a margin off both ends of each of the last axes."""
    for axis, margin in enumerate(margins, start=2):
        x = x.narrow(axis, margin, x.shape[axis] - 2 * margin)
    return x


class _Interleaved(torch.autograd.Function):
    """Phases (B, 8 C, D, H, W) to cells (B, C, 2D, 2H, 2W), both with channels last.

    Reshaped and permuted it would be a view, whose change in place by the activation behind it
    costs two more copies of its gradient, one of them in another layout.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        batch, channels, depth, height, width = y.shape
        cells = torch.empty(
            (batch, channels // 8, 2 * depth, 2 * height, 2 * width),
            dtype=y.dtype,
            device=y.device,
            memory_format=torch.channels_last_3d,
        )
        y = y.view(batch, 2, 2, 2, -1, depth, height, width).permute(0, 5, 1, 6, 2, 7, 3, 4)
        cells.permute(0, 2, 3, 4, 1).view(y.shape).copy_(y)
        return cells

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        batch, _, *size = g.shape
        depth, height, width = (n // 2 for n in size)
        g = g.permute(0, 2, 3, 4, 1).reshape(batch, depth, 2, height, 2, width, 2, -1)
        g = g.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(batch, depth, height, width, -1)
        return g.permute(0, 4, 1, 2, 3)


class UpsampleConv3d(nn.Conv3d):
    """`upsample2` and then a valid 3^3 convolution, in one convolution at the low resolution.

    Both steps are linear, so each of the 8 positions of an output cell within its input cell has
    its own 3^3 kernel over input cells. Same arithmetic and parameters as the two steps, without
    the upsampled volume: 1.2 to 2 times as fast (forward and backward, CPU), and its gradient
    repeats bit for bit.
    """

    phases: Tensor

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, bias=bias)
        t = torch.tensor(_PHASES)
        phases = torch.einsum("aik,bjl,cmn->abcijmkln", t, t, t).reshape(216, 27)
        self.register_buffer("phases", phases, persistent=False)

    def _phase_kernels(self) -> Tensor:
        """Kernels (8 C_out, C_in, 3, 3, 3), the phase (z, y, x) before the channel."""
        out, into = self.weight.shape[:2]
        with full_precision(self.weight):
            kernels = self.weight.reshape(out * into, 27) @ self.phases.T
        return kernels.view(out, into, 8, 27).permute(2, 0, 1, 3).reshape(8 * out, into, 3, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Upsample and convolve.

        Args:
            x: (B, C_in, D, H, W).

        Returns:
            (B, C_out, 2D-4, 2H-4, 2W-4), in the memory format of x.
        """
        bias = None if self.bias is None else self.bias.repeat(8)
        y = F.conv3d(x, self._phase_kernels(), bias)
        batch, _, depth, height, width = y.shape
        if x.is_contiguous(memory_format=torch.channels_last_3d):
            interleaved: Tensor = _Interleaved.apply(y)  # type: ignore[no-untyped-call]
            return interleaved
        y = y.view(batch, 2, 2, 2, -1, depth, height, width).permute(0, 4, 5, 1, 6, 2, 7, 3)
        return y.reshape(batch, -1, 2 * depth, 2 * height, 2 * width)
