"""Generator and critic for 3D super-resolution, as in map2map's srsgan.

Li et al. 2021 (PNAS 118, e2022038118), figures in its appendix; blocks after StyleGAN2 (Karras et
al. 2020, figure 7). All convolutions are valid: no padding invents data at an edge. One departure:
the projection onto the result is linear, where map2map's code ends it with a LeakyReLU, which
shrinks negative corrections to a fifth; `projection: leaky` brings it back, for weights that were
trained so. Sizes, widths and numbers of parameters are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.models.extent import Extent, through
from hpctrain.models.noise import AddNoise, ConcatenateNoise, Noise, NoNoise, ZeroNoise
from hpctrain.models.resample import (
    UpsampleConv3d,
    downsample2,
    narrow_by,
    num_halvings,
    upsample2,
)

NoiseKind = Literal["add", "concatenate", "none"]
Projection = Literal["linear", "leaky"]


def block_width(level: int, base: int, minimum: int, maximum: int) -> int:
    """Channels at a level: base at level 0, halved with each level up, within the bounds."""
    width = base >> level if level >= 0 else base << -level
    return min(max(width, minimum), maximum)


def leaky_relu() -> nn.LeakyReLU:
    """The activation of all these networks."""
    return nn.LeakyReLU(0.2, inplace=True)


def noise_layer(kind: NoiseKind, channels: int) -> tuple[nn.Module, int]:
    """The layer and the number of channels behind it."""
    if kind == "add":
        return AddNoise(channels), channels
    if kind == "concatenate":
        return ConcatenateNoise(), channels + 1
    if kind == "none":
        return NoNoise(), channels
    raise ConfigError(f"generator.noise: {kind!r} is unknown; choose add, concatenate or none")


def up_block_extent(x: Extent, y: Extent) -> tuple[Extent, Extent]:
    """Features x and result y behind one doubling; see `UpBlock.forward`."""
    x = x.interpolated().convolved(3).convolved(3)
    return x, y.narrowed(1).interpolated().joined(x)


def smallest_input(doublings: int) -> int:
    """Cells along each axis that a generator needs to give any output."""
    size = 1
    for _ in range(doublings):
        size = -(-(size + 6) // 2)
    return size


class UpBlock(nn.Module):
    """Doubles the resolution of the features and of the result: n cells become 2n - 6."""

    def __init__(
        self,
        channels: int,
        width: int,
        out_channels: int,
        noise: NoiseKind,
        projection: Projection = "linear",
    ) -> None:
        super().__init__()
        self.noise1, with_noise = noise_layer(noise, channels)
        self.conv1 = UpsampleConv3d(with_noise, width)
        self.noise2, with_noise = noise_layer(noise, width)
        self.conv2 = nn.Conv3d(with_noise, width, 3)
        self.project = nn.Conv3d(width, out_channels, 1)
        self.activation = leaky_relu()
        self.bend = leaky_relu() if projection == "leaky" else nn.Identity()

    def forward(self, x: Tensor, y: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """One doubling.

        Args:
            x: features (B, channels, D, H, W).
            y: result so far (B, out_channels, D, H, W).
            noise: source of the draws.

        Returns:
            Features (B, width, 2D-6, ...) and result (B, out_channels, 2D-6, ...).
        """
        x = self.activation(self.conv1(self.noise1(x, noise)))
        x = self.activation(self.conv2(self.noise2(x, noise)))
        # One input cell less on each side is two output cells less: the upsampled result then
        # has the size that the two convolutions leave.
        return x, upsample2(narrow_by(y, 1)) + self.bend(self.project(x))


class SrGenerator(nn.Module):
    """Upsamples a volume by a power of two and adds learned detail, block by block."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        upscale_factor: int,
        channels_base: int = 128,
        channels_min: int = 64,
        channels_max: int = 512,
        noise: NoiseKind = "add",
        projection: Projection = "linear",
    ) -> None:
        """Build the network; parameters as in the job file's block `generator`."""
        super().__init__()
        bounds = (channels_base, channels_min, channels_max)
        widths = [block_width(b, *bounds) for b in range(num_halvings(upscale_factor) + 1)]
        self.upscale_factor = upscale_factor
        self.projection = projection
        self.has_noise = noise != "none"
        # The direct path carries output variables; with other input variables they are mixed first.
        self.direct = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv3d(in_channels, out_channels, 1)
        )
        self.head = nn.Sequential(nn.Conv3d(in_channels, widths[0], 1), leaky_relu())
        self.blocks = nn.ModuleList(
            UpBlock(a, b, out_channels, noise, projection)
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        )

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        return list(self.blocks)

    def min_size(self) -> int:
        """Smallest input, in cells along each axis, that gives any output."""
        return smallest_input(len(self.blocks))

    def extent(self, x: Extent) -> Extent:
        """As `forward`."""
        y = x
        for _ in self.blocks:
            x, y = up_block_extent(x, y)
        return y

    def forward(self, x: Tensor, noise: Noise = ZeroNoise()) -> Tensor:  # noqa: B008 - stateless
        """Super-resolve.

        Args:
            x: (B, in_channels, D, H, W).
            noise: source of the draws, such as `SampleNoise`; `ZeroNoise` for the mean answer.

        Returns:
            (B, out_channels, f D - 6 (f - 1), ...) with f the upscale factor; `crop_to` cuts out
            the cells that `required_halo` was given for.

        Raises:
            ConfigError: x is smaller than `min_size`.
        """
        check_size("generator", x, self.min_size(), "enlarge crop or halo")
        y: Tensor = self.direct(x)
        x = self.head(x)
        for block in self.blocks:
            x, y = block(x, y, noise)
        return y


class DownBlock(nn.Module):
    """Residual block that halves the resolution: n cells become (n - 4) // 2."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3)
        self.conv2 = nn.Conv3d(channels, width, 3)
        self.skip = nn.Conv3d(channels, width, 1)
        self.activation = leaky_relu()

    def extent(self, x: Extent) -> Extent:
        """As `forward`."""
        y = x.convolved(3).convolved(3).convolved(2, 2)
        return y.joined(x.narrowed(2).convolved(2, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, D, H, W) to (B, width, (D-4)//2, (H-4)//2, (W-4)//2)."""
        y = self.activation(self.conv2(self.activation(self.conv1(x))))
        # A mean and a 1^3 convolution commute; averaging first does an eighth of the work. So do
        # a mean and a cut, whose gradient of the whole volume would be filled up with zeros.
        skip: Tensor = self.skip(narrow_by(downsample2(x), 1))
        return downsample2(y) + skip


class SrDiscriminator(nn.Module):
    """Critic with residual blocks; gives a map of scores, one for each patch it has seen."""

    def __init__(
        self,
        in_channels: int,
        upscale_factor: int = 8,
        channels_base: int = 512,
        channels_min: int = 64,
        channels_max: int = 512,
        blocks: int | None = None,
    ) -> None:
        """Build the network; parameters as in the job file's block `discriminator`.

        Args:
            in_channels: variables of the field plus those of the condition beside it.
            upscale_factor: only used where `blocks` is None.
            channels_base: width at the coarsest end.
            channels_min: lower bound of any block.
            channels_max: upper bound of any block.
            blocks: halvings; None means log2 of the upscale factor.
        """
        super().__init__()
        num_blocks = num_halvings(upscale_factor) if blocks is None else blocks
        bounds = (channels_base, channels_min, channels_max)
        widths = [block_width(b, *bounds) for b in range(num_blocks, -2, -1)]
        self.head = nn.Sequential(nn.Conv3d(in_channels, widths[0], 1), leaky_relu())
        self.blocks = nn.Sequential(
            *(DownBlock(a, b) for a, b in zip(widths[:-2], widths[1:-1], strict=True))
        )
        self.score = nn.Sequential(
            nn.Conv3d(widths[-2], widths[-1], 1), leaky_relu(), nn.Conv3d(widths[-1], 1, 1)
        )

    @property
    def output_bias(self) -> nn.Parameter:
        """Bias of the last layer, for `output_bias.requires_grad_(False)`.

        The Wasserstein loss and every gradient penalty are blind to it: its gradient is pure
        rounding, which Adam would scale up to full steps that differ from rank to rank.
        """
        last = self.score[-1]
        assert isinstance(last, nn.Conv3d)
        assert isinstance(last.bias, nn.Parameter)
        return last.bias

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        return list(self.blocks)

    def min_size(self) -> int:
        """Smallest input, in cells along each axis, that gives a score."""
        size = 1
        for _ in self.blocks:
            size = 2 * size + 4
        return size

    def extent(self, x: Extent) -> Extent:
        """As `forward`."""
        return through(self.blocks, x)

    def forward(self, x: Tensor) -> Tensor:
        """Score patches.

        Args:
            x: (B, in_channels, D, H, W).

        Returns:
            (B, 1, D', H', W'), where each block turns n cells into (n - 4) // 2.

        Raises:
            ConfigError: x is smaller than `min_size`.
        """
        check_size(
            "discriminator", x, self.min_size(), "enlarge crop or set fewer discriminator.blocks"
        )
        scores: Tensor = self.score(self.blocks(self.head(x)))
        return scores


def check_size(who: str, x: Tensor, least: int, remedy: str) -> None:
    """Refuse an input x (B, C, D, H, W) that is too small.

    Raises:
        ConfigError: an axis has fewer than `least` cells.
    """
    if min(x.shape[2:]) < least:
        raise ConfigError(
            f"{who}: input of {tuple(x.shape[2:])} cells is too small; "
            f"it needs at least {least} along each axis; {remedy}"
        )
