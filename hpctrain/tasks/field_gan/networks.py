"""Networks of a job's `field_gan` block."""

from __future__ import annotations

from typing import Any

from torch import nn

from hpctrain.config.field_gan import FieldGan
from hpctrain.models.dcgan import DcganDiscriminator, DcganGenerator
from hpctrain.tasks.super_resolution.networks import normalise_spectrally

Triple = tuple[int, int, int]


def make_generator(
    settings: FieldGan, channels: int, size: Triple, style_size: int = 0
) -> DcganGenerator:
    """The generator, in float32 on torch's current device.

    Args:
        settings: the `train:` block.
        channels: of a field.
        size: its cells along each axis; one along the first: a plane.
        style_size: numbers in a style; 0: none.

    Raises:
        ConfigError: a size that does not fit.
    """
    options: dict[str, Any] = settings.generator.model_dump(exclude={"kind", "noise_size"})
    noise_size = settings.generator.noise_size
    return DcganGenerator(noise_size, channels, size, **options, style_size=style_size)


def make_critic(settings: FieldGan, channels: int, size: Triple, style_size: int = 0) -> nn.Module:
    """The discriminator; `channels` counts those of the rescaling as well."""
    adversary = settings.adversary
    options: dict[str, Any] = adversary.discriminator.model_dump(exclude={"kind"})
    critic = DcganDiscriminator(channels, size, **options, style_size=style_size)
    if adversary.loss == "wasserstein" and not adversary.label_flip:
        critic.output_bias.requires_grad_(False)  # the loss is blind to it
    if adversary.spectral_norm:
        normalise_spectrally(critic)
    return critic
