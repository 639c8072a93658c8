"""Super-resolution generator whose convolutions are modulated by a style, such as the redshift.

The generator of Li et al. 2021 with styled convolutions, as in map2map's styled_srsgan, so that one
network serves all redshifts; the modulated convolution is StyleGAN2's (Karras et al. 2020,
section 2.2). The projection onto the result is modulated and not normalised, as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hpctrain.models.extent import Extent
from hpctrain.models.noise import Noise, ZeroNoise
from hpctrain.models.resample import (
    UpsampleConv3d,
    full_precision,
    narrow_by,
    num_halvings,
    upsample2,
)
from hpctrain.models.srsgan import (
    NoiseKind,
    block_width,
    check_size,
    leaky_relu,
    noise_layer,
    smallest_input,
    up_block_extent,
)

EPSILON = 1e-8


class ModulatedConv3d(nn.Module):
    """A convolution whose weights are scaled by a style and brought back to unit norm.

    With s = A style + b, one scale an input channel, where b starts at 1 (Karras et al. 2020,
    equations 1 and 3): w'_oik = s_i w_oik and w''_oik = w'_oik / sqrt(sum_ik w'_oik^2 + eps).
    Convolving x with w'' is convolving s x with w and scaling each output channel by the root: the
    same numbers without weights of their own for each sample, so that one convolution serves the
    whole batch.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int,
        style_size: int,
        *,
        is_upsampled: bool = False,
        is_demodulated: bool = True,
    ) -> None:
        """Make a valid convolution.

        Args:
            channels: of the input.
            width: of the output.
            kernel: cells along each axis.
            style_size: numbers in a style.
            is_upsampled: double the resolution first; the kernel is 3 then.
            is_demodulated: bring w' back to unit norm; a projection onto the result does without.
        """
        super().__init__()
        self.conv: nn.Conv3d = (
            UpsampleConv3d(channels, width, bias=False)
            if is_upsampled
            else nn.Conv3d(channels, width, kernel, bias=False)
        )
        bound = 1 / math.sqrt(channels * kernel**3)
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.is_demodulated = is_demodulated
        self.style = nn.Linear(style_size, channels)
        nn.init.ones_(self.style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Convolve.

        Args:
            x: (B, channels, D, H, W).
            style: (B, style_size).

        Returns:
            (B, width, ...) as the convolution gives.
        """
        with full_precision(x):
            scale = self.style(style.to(self.style.weight.dtype))
            gain = None
            if self.is_demodulated:
                power = self.conv.weight.square().flatten(2).sum(2)
                gain = torch.rsqrt(scale.square() @ power.T + EPSILON)[:, :, None, None, None]
        y: Tensor = self.conv(x * scale[:, :, None, None, None].to(x.dtype))
        if gain is not None:
            y = y * gain.to(y.dtype)
        return y + self.bias.to(y.dtype)[:, None, None, None]


class StyledUpBlock(nn.Module):
    """Doubles the resolution of the features and of the result: n cells become 2n - 6."""

    def __init__(
        self, channels: int, width: int, out_channels: int, noise: NoiseKind, style_size: int
    ) -> None:
        super().__init__()
        self.noise1, with_noise = noise_layer(noise, channels)
        self.conv1 = ModulatedConv3d(with_noise, width, 3, style_size, is_upsampled=True)
        self.noise2, with_noise = noise_layer(noise, width)
        self.conv2 = ModulatedConv3d(with_noise, width, 3, style_size)
        self.project = ModulatedConv3d(width, out_channels, 1, style_size, is_demodulated=False)
        self.activation = leaky_relu()

    def forward(self, x: Tensor, y: Tensor, noise: Noise, style: Tensor) -> tuple[Tensor, Tensor]:
        """One doubling; see `UpBlock.forward`, with style (B, style_size)."""
        x = self.activation(self.conv1(self.noise1(x, noise), style))
        x = self.activation(self.conv2(self.noise2(x, noise), style))
        return x, upsample2(narrow_by(y, 1)) + self.project(x, style)


class StyledGenerator(nn.Module):
    """Upsamples a volume by a power of two; a style decides how it adds its detail."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        upscale_factor: int,
        style_size: int,
        channels_base: int = 128,
        channels_min: int = 64,
        channels_max: int = 512,
        noise: NoiseKind = "add",
    ) -> None:
        """Build the network; parameters as in the job file's block `generator`."""
        super().__init__()
        bounds = (channels_base, channels_min, channels_max)
        widths = [block_width(b, *bounds) for b in range(num_halvings(upscale_factor) + 1)]
        self.upscale_factor, self.style_size = upscale_factor, style_size
        self.has_noise, self.has_style = noise != "none", True
        self.direct = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv3d(in_channels, out_channels, 1)
        )
        self.head = ModulatedConv3d(in_channels, widths[0], 1, style_size)
        self.activation = leaky_relu()
        self.blocks = nn.ModuleList(
            StyledUpBlock(a, b, out_channels, noise, style_size)
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        )

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        return list(self.blocks)

    def extent(self, x: Extent) -> Extent:
        """As `forward`."""
        y = x
        for _ in self.blocks:
            x, y = up_block_extent(x, y)
        return y

    def forward(self, x: Tensor, noise: Noise = ZeroNoise(), *, style: Tensor) -> Tensor:  # noqa: B008 - stateless
        """Super-resolve.

        Args:
            x: (B, in_channels, D, H, W).
            noise: source of the draws.
            style: (B, style_size), best of order 1, such as the scale factor 1 / (1 + z).

        Returns:
            (B, out_channels, f D - 6 (f - 1), ...) with f the upscale factor.

        Raises:
            ConfigError: x is too small.
        """
        check_size("generator", x, smallest_input(len(self.blocks)), "enlarge crop or halo")
        y: Tensor = self.direct(x)
        x = self.activation(self.head(x, style))
        for block in self.blocks:
            x, y = block(x, y, noise, style)
        return y
