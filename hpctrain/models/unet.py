"""Encoder and decoder with skips between levels: U-Net, V-Net and their dense relative.

U-Net: Ronneberger et al. 2015; V-Net, with residual blocks: Milletari et al. 2016. Widths, blocks,
strided and transposed convolutions of kernel 2 and the bypass are those of map2map's UNet and VNet,
whose weights load. Without padding no cell of the result has seen a border: the input needs a halo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.models.blocks import BLOCKS, Layers, Norm, narrow_like, quiet
from hpctrain.models.extent import Extent, halving, through


class UNet(nn.Module):
    """Maps fields to fields at one resolution, with context from `levels` coarser ones.

    Without padding n cells become n - 4 (2^levels - 1) - 4 (2^levels + ...), 40 less for two
    levels; `sizes` computes it. n must be even at each level.
    """

    block = "plain"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        channels: int = 64,
        levels: int = 2,
        dims: int = 3,
        padding: bool = False,
        norm: Norm = "batch",
        bypass: bool | None = None,
        block: Literal["plain", "residual", "dense"] | None = None,
    ) -> None:
        """Build the network; parameters as in the job file's block `generator`.

        Args:
            in_channels: of the input.
            out_channels: of the result.
            channels: width of all levels.
            levels: how often the resolution is halved.
            dims: spatial axes, 2 or 3.
            padding: convolutions pad with zeros and keep the size.
            norm: behind inner convolutions.
            bypass: add the input to the result; None: where both have the same channels.
            block: kind of the blocks; None: the class's own.
        """
        super().__init__()
        make = Layers(dims, padding, norm)
        block_class = BLOCKS[block or self.block]
        self.dims, self.levels = dims, levels
        self.bypass = in_channels == out_channels if bypass is None else bypass
        if self.bypass and in_channels != out_channels:
            raise ConfigError(
                f"generator.bypass: adds {in_channels} input channels to {out_channels} of the "
                "result; leave it out, or make both alike"
            )
        ends = [in_channels, *[channels] * levels]
        self.encoder = nn.ModuleList(
            block_class(make, a, channels, is_first=i == 0, is_last=False)
            for i, a in enumerate(ends[:-1])
        )
        self.down = nn.ModuleList(
            quiet(nn.Sequential(make.halve(channels, channels), *make.tail(channels)))
            for _ in range(levels)
        )
        self.centre = block_class(make, ends[-1], channels, is_first=False, is_last=False)
        self.up = nn.ModuleList(
            quiet(nn.Sequential(make.double(channels, channels), *make.tail(channels)))
            for _ in range(levels)
        )
        self.decoder = nn.ModuleList(
            block_class(
                make,
                2 * channels,
                out_channels if i == 0 else channels,
                is_first=False,
                is_last=i == 0,
            )
            for i in range(levels)
        )

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        return [*self.encoder, self.centre, *self.decoder]

    def extent(self, x: Extent) -> Extent:
        """As `forward`.

        Raises:
            ConfigError: a level of an odd size.
        """
        whole, skips = x, []
        for encode, down in zip(self.encoder, self.down, strict=True):
            x = through(encode, x)
            skips.append(x)
            assert isinstance(down, nn.Sequential)
            x = through(down[1:], halving(x))
        x = through(self.centre, x)
        for up, decode in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = through(up, x)
            x = through(decode, x.joined(skips.pop().narrowed_like(x)))
        return x.joined(whole.narrowed_like(x)) if self.bypass else x

    def forward(self, x: Tensor) -> Tensor:
        """Map a field.

        Args:
            x: (B, in_channels, ...) with `dims` spatial axes.

        Returns:
            (B, out_channels, ...) of the sizes that `extent` says.

        Raises:
            ConfigError: a size that does not fit.
        """
        whole, skips = x, []
        for encode, down in zip(self.encoder, self.down, strict=True):
            x = encode(x)
            _check_even(x, whole)
            skips.append(x)
            x = down(x)
        x = self.centre(x)
        for up, decode in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = up(x)
            x = decode(torch.cat((narrow_like(skips.pop(), x.shape), x), 1))
        return x + narrow_like(whole, x.shape) if self.bypass else x


class VNet(UNet):
    """The same with residual blocks."""

    block = "residual"


def _check_even(x: Tensor, whole: Tensor) -> None:
    if any(n % 2 or n < 2 for n in x.shape[2:]):
        raise ConfigError(
            f"generator: an input of {tuple(whole.shape[2:])} cells leaves a level of "
            f"{tuple(x.shape[2:])}, which cannot be halved; `hpctrain models` shows sizes that fit"
        )
