"""Blocks of convolutions in 2D and 3D: plain, residual, dense; with and without padding.

A block's `extent` repeats its `forward` for sizes; see `extent.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.models.extent import Extent, through

Norm = Literal["batch", "instance", "none"]
_NORMS: dict[str, tuple[Callable[[int], nn.Module], Callable[[int], nn.Module]]] = {
    "batch": (nn.BatchNorm2d, nn.BatchNorm3d),
    "instance": (nn.InstanceNorm2d, nn.InstanceNorm3d),
    "none": (lambda channels: nn.Identity(), lambda channels: nn.Identity()),
}


_NORMED = (nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def narrow_like(x: Tensor, size: torch.Size) -> Tensor:
    """The centre of x (B, C, ...) with the spatial size of another activation."""
    for axis in range(2, x.ndim):
        x = x.narrow(axis, (x.shape[axis] - size[axis]) // 2, size[axis])
    return x


def packed(x: Tensor, like: Tensor) -> Tensor:
    """A cut without gaps in memory, in the layout of the whole: convolutions read it faster."""
    last = torch.channels_last_3d if x.ndim == 5 else torch.channels_last
    is_last = like.is_contiguous(memory_format=last) and not like.is_contiguous()
    return x.contiguous(memory_format=last if is_last else torch.contiguous_format)


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one network: number of axes, padding and norm are the same in all."""

    dims: int = 3
    is_padded: bool = False
    """Convolutions keep the size by a border of zeros; else they cut it off."""
    norm: Norm = "batch"

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise ConfigError(f"dims: found {self.dims}; allowed: 2 or 3")
        if self.norm not in _NORMS:
            raise ConfigError(f"norm: {self.norm!r} is unknown; choose from {', '.join(_NORMS)}")

    def conv(self, channels: int, width: int, kernel: int = 3) -> nn.Conv2d | nn.Conv3d:
        """A convolution that keeps the size, or cuts kernel // 2 cells off each end."""
        make = nn.Conv3d if self.dims == 3 else nn.Conv2d
        return make(channels, width, kernel, padding=kernel // 2 if self.is_padded else 0)

    def halve(self, channels: int, width: int) -> nn.Module:
        """A convolution of kernel and stride 2."""
        make = nn.Conv3d if self.dims == 3 else nn.Conv2d
        return make(channels, width, 2, stride=2)

    def double(self, channels: int, width: int) -> nn.Module:
        """A transposed convolution of kernel and stride 2."""
        make = nn.ConvTranspose3d if self.dims == 3 else nn.ConvTranspose2d
        return make(channels, width, 2, stride=2)

    def tail(self, channels: int) -> list[nn.Module]:
        """Norm and activation."""
        return [_NORMS[self.norm][self.dims - 2](channels), nn.LeakyReLU()]

    def convs(self, channels: int, width: int, *, is_first: bool, is_last: bool) -> nn.Sequential:
        """Two convolutions.

        Args:
            channels: of the input.
            width: of the output; the middle has the larger of both.
            is_first: next to the network's input: no norm behind the first convolution.
            is_last: next to the network's output: no norm, and nothing behind the last one.
        """
        middle = max(channels, width)
        first = [nn.LeakyReLU()] if is_first or is_last else self.tail(middle)
        return quiet(
            nn.Sequential(
                self.conv(channels, middle),
                *first,
                self.conv(middle, width),
                *([] if is_last else self.tail(width)),
            )
        )


def quiet(layers: nn.Sequential) -> nn.Sequential:
    """Let biases that a norm behind them takes away again not train.

    Their gradient is pure rounding, which Adam would scale up to full steps that differ from rank
    to rank. They stay where they are, so that published weights fit.
    """
    parts = list(layers)
    for layer, after in zip(parts[:-1], parts[1:], strict=True):
        bias = getattr(layer, "bias", None)
        if isinstance(after, _NORMED) and isinstance(bias, nn.Parameter):
            bias.requires_grad_(False)
    return layers


class PlainBlock(nn.Module):
    """Two 3^d convolutions with norm and activation (Ronneberger et al. 2015, figure 1)."""

    def __init__(
        self, make: Layers, channels: int, width: int, *, is_first: bool, is_last: bool
    ) -> None:
        super().__init__()
        self.convs = make.convs(channels, width, is_first=is_first, is_last=is_last)

    def extent(self, x: Extent) -> Extent:
        """As `forward`."""
        return through(self.convs, x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, ...) to (B, width, ...), 4 cells less along each axis without padding."""
        y: Tensor = self.convs(x)
        return y


class ResidualBlock(nn.Module):
    """Two convolutions beside a 1^d convolution: y = act(F(x) + W x) (Milletari et al. 2016, 2).

    The skip is a projection also where widths agree; at the output there is no activation.
    """

    def __init__(
        self, make: Layers, channels: int, width: int, *, is_first: bool, is_last: bool
    ) -> None:
        super().__init__()
        convs = make.convs(channels, width, is_first=is_first, is_last=is_last)
        self.convs = convs if is_last else convs[:-1]
        self.skip = make.conv(channels, width, 1)
        self.act = nn.Identity() if is_last else nn.LeakyReLU()

    def extent(self, x: Extent) -> Extent:
        """As `forward`."""
        y = through(self.convs, x)
        return y.joined(x.narrowed_like(y))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, ...) to (B, width, ...), 4 cells less along each axis without padding."""
        y = self.convs(x)
        # a 1^d convolution and a cut commute; cutting first spares the cells that fall away
        y = y + self.skip(packed(narrow_like(x, y.shape), x))
        z: Tensor = self.act(y)
        return z


class DenseBlock(nn.Module):
    """Two convolutions, each seeing all before it (Huang et al. 2017, equation 2).

    x_l = H([x_0, ..., x_(l-1)]); a 1^d convolution brings the concatenation to the width asked for.
    """

    def __init__(
        self, make: Layers, channels: int, width: int, *, is_first: bool, is_last: bool
    ) -> None:
        super().__init__()
        growth = max(width // 2, 1)
        tails = [[nn.LeakyReLU()] if is_first or is_last else make.tail(growth) for _ in range(2)]
        self.layers = nn.ModuleList(
            quiet(nn.Sequential(make.conv(channels + i * growth, growth), *tail))
            for i, tail in enumerate(tails)
        )
        end = [] if is_last else make.tail(width)
        self.join = quiet(nn.Sequential(make.conv(channels + 2 * growth, width, 1), *end))

    def extent(self, x: Extent) -> Extent:
        """As `forward`."""
        for layer in self.layers:
            y = through(layer, x)
            x = y.joined(x.narrowed_like(y))
        return through(self.join, x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, ...) to (B, width, ...), 4 cells less along each axis without padding."""
        for layer in self.layers:
            y = layer(x)
            x = torch.cat((narrow_like(x, y.shape), y), 1)
        z: Tensor = self.join(x)
        return z


BLOCKS: dict[str, type[PlainBlock] | type[ResidualBlock] | type[DenseBlock]] = {
    "plain": PlainBlock,
    "residual": ResidualBlock,
    "dense": DenseBlock,
}
