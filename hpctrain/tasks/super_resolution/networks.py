"""Networks of a job file: made from their blocks, and the halo that follows from them."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm

from hpctrain.config import networks
from hpctrain.config.task import FieldTraining
from hpctrain.config.user_code import find_class, make, takes
from hpctrain.errors import ConfigError
from hpctrain.models import SrDiscriminator, SrGenerator, ZeroNoise
from hpctrain.models.patch import PatchDiscriminator
from hpctrain.models.planar import Planar
from hpctrain.models.sizes import find_halo, size_of
from hpctrain.models.styled import StyledGenerator
from hpctrain.models.unet import UNet, VNet
from hpctrain.tasks.super_resolution.pair import generate


def make_generator(
    settings: FieldTraining, inputs: int, targets: int, style_size: int = 0
) -> nn.Module:
    """The generator, in float32 on torch's current device.

    Args:
        settings: the `train:` block.
        inputs: channels of the input.
        targets: channels of the result.
        style_size: numbers in a style; 0: none.

    Raises:
        ConfigError: options that do not fit, or the user's class cannot be made.
    """
    block, factor = settings.generator, settings.upscale_factor
    if isinstance(block, networks.Styled) and not style_size:
        raise ConfigError(
            "train.generator.kind: styled needs data.styles, a table of a number or more for each "
            "file; give it, or choose srsgan"
        )
    if style_size and isinstance(block, networks.Srsgan | networks.UNet):
        raise ConfigError(
            f"data.styles: has no effect on generator.kind {block.kind}; choose styled, or leave "
            "it out"
        )
    if isinstance(block, networks.Srsgan):
        return SrGenerator(
            inputs,
            targets,
            factor,
            **_widths(block.channels),
            noise=block.noise,
            projection=block.projection,
        )
    if isinstance(block, networks.Styled):
        widths = _widths(block.channels)
        return StyledGenerator(inputs, targets, factor, style_size, **widths, noise=block.noise)
    if isinstance(block, networks.UNet):
        options = block.model_dump(exclude={"kind"})
        return (UNet if block.kind == "unet" else VNet)(inputs, targets, **options)
    return _own_generator(block, inputs, targets, factor)


def make_critic(settings: FieldTraining, channels: int) -> nn.Module:
    """The discriminator, whose output bias does not train where the loss is blind to it.

    Args:
        settings: the `train:` block, with an adversary.
        channels: of the field and of what stands beside it.

    Raises:
        ConfigError: the user's class cannot be made, or has BatchNorm where fields are joined.
    """
    assert settings.adversary is not None
    block, factor = settings.adversary.discriminator, settings.upscale_factor
    critic: nn.Module
    if isinstance(block, networks.ResidualCritic):
        blocks = block.num_blocks(factor)
        critic = SrDiscriminator(channels, factor, **_widths(block.channels), blocks=blocks)
    elif isinstance(block, networks.PatchCritic):
        critic = PatchDiscriminator(channels, **block.model_dump(exclude={"kind"}))
    else:
        option = "train.adversary.discriminator"
        target = find_class(block.kind, option)
        critic = _checked(make(target, option, channels, options=block.options), option)
        has_norm = any(isinstance(m, _BatchNorm) for m in critic.modules())
        if has_norm and settings.adversary.critic_batches == "joint":
            raise ConfigError(
                f"train.adversary.critic_batches: joint does not go with the BatchNorm of "
                f"{block.kind}, whose means would mix true and made fields; choose separate"
            )
    bias = getattr(critic, "output_bias", None)
    if settings.adversary.loss == "wasserstein" and bias is not None:
        bias.requires_grad_(False)
    if settings.adversary.spectral_norm:
        normalise_spectrally(critic)
    return critic


def normalise_spectrally(network: nn.Module) -> None:
    """Divide the weights of convolutions and linear layers by their largest singular values."""
    layers = (nn.Linear, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    for module in list(network.modules()):
        if isinstance(module, layers):
            spectral_norm(module)


def on_fields(network: nn.Module) -> nn.Module:
    """The network as a function of volumes: one of two axes takes planes."""
    return Planar(network) if getattr(network, "dims", 3) == 2 else network


def needs_style(settings: FieldTraining) -> bool:
    """Whether the generator takes a style beside the field."""
    block = settings.generator
    if isinstance(block, networks.OwnNetwork):
        target = find_class(block.kind, "train.generator")
        return "style" in inspect.signature(target.forward).parameters  # type: ignore[attr-defined]
    return isinstance(block, networks.Styled)


def halo_of(settings: FieldTraining, crop: tuple[int, int, int]) -> tuple[int, int, int]:
    """Input cells around a crop on each side of each axis, so that the output covers the target.

    Args:
        settings: the `train:` block.
        crop: input cells of a sample.

    Raises:
        ConfigError: no halo makes the crop fit.
    """
    with torch.device("meta"):  # sizes do not depend on channels
        network = make_generator(settings, 1, 1, 1 if needs_style(settings) else 0)
    factor, dims = settings.upscale_factor, getattr(network, "dims", 3)
    size = size_of(network, dims, call=call_without_noise)
    if dims == 3:
        a, b, c = (find_halo(size, n, factor) for n in crop)
        return a, b, c
    if crop[0] != 1 or factor != 1:  # user code's dims, which no schema knows
        raise ConfigError(
            f"train.generator.dims: 2 works on planes at one resolution; found data.crop "
            f"{list(crop)} and upscale_factor {factor}; give a crop of one cell along the first "
            "axis, such as [1, 64, 64], and upscale_factor 1"
        )
    b, c = (find_halo(size, n, factor) for n in crop[1:])
    return 0, b, c


def call_without_noise(network: nn.Module, x: Tensor) -> Tensor:
    """Call a generator with a style of 0, as for its sizes and costs."""
    style_size = getattr(network, "style_size", 1)
    style = torch.zeros(len(x), style_size, device=x.device, dtype=x.dtype)
    return generate(network, x, ZeroNoise(), style)


def _own_generator(block: networks.OwnNetwork, inputs: int, targets: int, factor: int) -> nn.Module:
    option = "train.generator"
    target = find_class(block.kind, option)
    options = dict(block.options)
    if takes(target, "upscale_factor"):
        options.setdefault("upscale_factor", factor)
    network = _checked(make(target, option, inputs, targets, options=options), option)
    # how it is called follows from what its forward names
    named = inspect.signature(network.forward).parameters
    network.has_noise, network.has_style = "noise" in named, "style" in named  # type: ignore[assignment]
    return network


def _checked(made: Any, option: str) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise ConfigError(f"{option}: a {type(made).__name__} is no torch.nn.Module")
    return made


def _widths(channels: networks.Channels) -> dict[str, int]:
    return {
        "channels_base": channels.base,
        "channels_min": channels.min,
        "channels_max": channels.max,
    }
