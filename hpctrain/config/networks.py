"""Blocks that choose a network: `generator:` and `discriminator:`, told apart by `kind`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator as ToldApartBy
from pydantic import Field, PositiveInt, Tag, model_validator

from hpctrain.config.schema import Schema


class Channels(Schema):
    """Width of a network: base at the coarsest end, halved block by block within [min, max]."""

    base: PositiveInt = 128
    """Channels at the coarsest resolution."""
    min: PositiveInt = 64
    """Lower bound of any block."""
    max: PositiveInt = 512
    """Upper bound of any block."""

    @model_validator(mode="after")
    def _ordered(self) -> Channels:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is larger than max {self.max}")
        return self


class CriticChannels(Channels):
    """Width of the critic, by default wider than the generator."""

    base: PositiveInt = 512
    """Channels at the coarsest resolution."""


class Srsgan(Schema):
    """StyleGAN2-like upsampler with noise injection (map2map's srsgan, EarthGAN)."""

    kind: Literal["srsgan"] = "srsgan"
    """Upsamples by a power of two and adds detail, block by block."""
    channels: Channels = Channels()
    """Width by block."""
    noise: Literal["add", "concatenate", "none"] = "add"
    """How noise enters each layer: added with a learned scale, or as one more channel."""
    projection: Literal["linear", "leaky"] = "linear"
    """What ends the projection onto the result; leaky: map2map's LeakyReLU, for its weights."""


class Styled(Schema):
    """The same upsampler with convolutions modulated by `data.styles` (StyleGAN2)."""

    kind: Literal["styled"]
    """One network for all redshifts, or whatever the style says."""
    channels: Channels = Channels()
    """Width by block."""
    noise: Literal["add", "concatenate", "none"] = "add"
    """How noise enters each layer: added with a learned scale, or as one more channel."""


class UNet(Schema):
    """Encoder and decoder with skips, at one resolution (U-Net, V-Net)."""

    kind: Literal["unet", "vnet"]
    """unet: plain blocks; vnet: residual blocks; both as in map2map."""
    channels: PositiveInt = 64
    """Width of all levels."""
    levels: PositiveInt = 2
    """How often the resolution is halved."""
    dims: Literal[2, 3] = 3
    """Spatial axes; 2 works on planes: a crop of one cell along the first axis."""
    padding: bool = False
    """Convolutions keep the size by zeros; false: none sees a border, and the crop gets a halo."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Behind inner convolutions."""
    bypass: bool | None = None
    """Add the input to the result; null: where both have as many channels."""
    block: Literal["plain", "residual", "dense"] | None = None
    """Another kind of blocks than the network's own; null: its own."""


class OwnNetwork(Schema):
    """A class of the user's own code, made as Class(in_channels, out_channels, **options)."""

    kind: str = Field(pattern=r"\.")
    """module.Class; super-resolution also hands `upscale_factor` to a class that takes it."""
    options: dict[str, Any] = {}
    """More arguments of the class; one that it does not take is an error."""


class ResidualCritic(Schema):
    """Residual critic that sees the upsampled input beside the truth or the generated field."""

    kind: Literal["srsgan"] = "srsgan"
    """Each block halves the resolution."""
    channels: CriticChannels = CriticChannels()
    """Width by block, widest at the coarsest end."""
    blocks: PositiveInt | None = None
    """Residual blocks, each halving the resolution; null: log2 of the upscale factor, or 3."""

    def num_blocks(self, upscale_factor: int) -> int:
        """Residual blocks of a training."""
        return self.blocks or upscale_factor.bit_length() - 1 or _BLOCKS_WITHOUT_FACTOR

    def least_cells(self, upscale_factor: int) -> int:
        """Cells of a field along each axis that give a single score."""
        size = 1
        for _ in range(self.num_blocks(upscale_factor)):
            size = 2 * size + 4
        return size


class PatchCritic(Schema):
    """Critic of plain convolutions that scores overlapping patches (PatchGAN)."""

    kind: Literal["patch"]
    """Judges texture."""
    channels: PositiveInt = 32
    """Width of the first layer, doubled with each."""
    layers: PositiveInt = 3
    """Convolutions of kernel 3."""
    dims: Literal[2, 3] = 3
    """Spatial axes; that of the generator."""
    norm: Literal["batch", "instance", "none"] = "none"
    """Behind all but the first; a gradient penalty wants none."""
    strided: bool = False
    """Halve the resolution behind each convolution, for larger patches."""

    def least_cells(self, upscale_factor: int) -> int:
        """Cells of a field along each axis that give a single score."""
        size = 1
        for _ in range(self.layers):
            size = (2 * size if self.strided else size) + 2
        return size


class OwnCritic(Schema):
    """A class of the user's own code, made as Class(in_channels, **options)."""

    kind: str = Field(pattern=r"\.")
    """module.Class."""
    options: dict[str, Any] = {}
    """More arguments of the class; one that it does not take is an error."""

    def least_cells(self, upscale_factor: int) -> int:
        """Not known here: the network says it itself."""
        return 1


OWN = "module.Class"
_BLOCKS_WITHOUT_FACTOR = 3
"""Halvings of a residual critic of fields at one resolution."""


def kind(value: Any) -> str:
    """Which block is meant; without `kind` the first one."""
    found = value.get("kind", "srsgan") if isinstance(value, dict) else getattr(value, "kind", None)
    if not isinstance(found, str):
        return repr(found)
    if found in ("unet", "vnet"):
        return "unet or vnet"
    return OWN if "." in found else found


Generator = Annotated[
    Annotated[Srsgan, Tag("srsgan")]
    | Annotated[Styled, Tag("styled")]
    | Annotated[UNet, Tag("unet or vnet")]
    | Annotated[OwnNetwork, Tag(OWN)],
    ToldApartBy(kind),
]
"""Networks that make fields."""

Discriminator = Annotated[
    Annotated[ResidualCritic, Tag("srsgan")]
    | Annotated[PatchCritic, Tag("patch")]
    | Annotated[OwnCritic, Tag(OWN)],
    ToldApartBy(kind),
]
"""Networks that judge them."""
