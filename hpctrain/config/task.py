"""The `train:` block: a union of tasks, told apart by the key `task`."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    field_validator,
    model_validator,
)

from hpctrain.config.optimizer import Optimizer
from hpctrain.config.schema import Schema
from hpctrain.config.training import Training
from hpctrain.config.words import nearest


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


class Generator(Schema):
    """StyleGAN2-like upsampler with noise injection (map2map's srsgan, EarthGAN)."""

    channels: Channels = Channels()
    """Width by block."""
    noise: Literal["add", "concatenate", "none"] = "add"
    """How noise enters each layer: added with a learned scale, or as one more channel."""


class CriticChannels(Channels):
    """Width of the critic, by default wider than the generator."""

    base: PositiveInt = 512
    """Channels at the coarsest resolution."""


class GanOptimizer(Optimizer):
    """Optimizer of a GAN's network, without momentum by default (Gulrajani et al. 2017)."""

    betas: tuple[float, float] = (0.0, 0.9)
    """Adam's decay rates; left out for optimizers that do not take them."""


class Discriminator(Schema):
    """Residual critic that sees the upsampled input beside the truth or the generated field."""

    channels: CriticChannels = CriticChannels()
    """Width by block, widest at the coarsest end."""
    blocks: PositiveInt | None = None
    """Residual blocks, each halving the resolution; null: log2 of the upscale factor."""


class GradientPenalty(Schema):
    """Keeps the critic's slope in bounds."""

    kind: Literal["wgan_gp", "r1"] = "wgan_gp"
    """wgan_gp: (|grad| - 1)^2 between real and fake (Gulrajani 2017); r1: |grad|^2/2 at real."""
    weight: NonNegativeFloat = 10.0
    """Factor lambda or gamma."""
    every: PositiveInt = 1
    """Only every so many critic steps, then multiplied by that number (lazy regularisation)."""


class Adversary(Schema):
    """The discriminator's side of a super-resolution training."""

    discriminator: Discriminator = Discriminator()
    """The network."""
    optimizer: GanOptimizer = GanOptimizer()
    """Its optimizer."""
    loss: Literal["wasserstein", "bce", "hinge", "least_squares"] = "wasserstein"
    """Adversarial criterion."""
    gradient_penalty: GradientPenalty | None = GradientPenalty()
    """null: none."""
    critic_steps: PositiveInt = 5
    """Discriminator steps a generator step."""
    content_weight: NonNegativeFloat = 0.0
    """Share of the criterion in the generator's loss beside the adversarial loss."""
    adversarial_weight: NonNegativeFloat = 1.0
    """Share of the adversarial loss in the generator's loss."""


class SuperResolution(Training):
    """Conditional 3D GAN, or a plain regression when `adversary` is null."""

    task: Literal["super_resolution"]
    upscale_factor: PositiveInt
    """Power of two; checked against the shapes of input and target."""
    generator: Generator = Generator()
    """The network that is kept."""
    optimizer: GanOptimizer = GanOptimizer()
    """The generator's optimizer."""
    criterion: str = "mse"
    """Pixel loss: mse, l1, huber, a loss of torch.nn, or module.Class of the user's code."""
    adversary: Adversary | None = None
    """null: train the generator on the criterion alone."""
    pretrain_epochs: NonNegativeInt = 0
    """First epochs in which the generator learns from the criterion alone."""

    @model_validator(mode="after")
    def _metric_exists(self) -> SuperResolution:
        plateau = self.schedule.plateau
        known = [*_LOSSES, *(_ADVERSARIAL_LOSSES if self.adversary else ()), *_VALIDATION]
        if plateau and plateau.metric not in known:
            raise ValueError(
                f"schedule.plateau.metric: unknown {plateau.metric!r}; choose from "
                f"{', '.join(known)}{nearest(plateau.metric, known)}"
            )
        return self

    @model_validator(mode="after")
    def _averaged_exist(self) -> SuperResolution:
        known = ["generator", *(["discriminator"] if self.adversary else [])]
        for name in self.ema.models if self.ema else ():
            if name not in known:
                raise ValueError(
                    f"ema.models: unknown {name!r}; choose from {', '.join(known)}"
                    f"{nearest(name, known)}"
                )
        return self

    @field_validator("upscale_factor")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value < 2 or value & (value - 1):
            raise ValueError(f"{value} is not a power of two; choose 2, 4, 8 or 16")
        return value


_LOSSES = ("train/loss/generator",)
_ADVERSARIAL_LOSSES = ("train/loss/content", "train/loss/adversarial", "train/loss/discriminator")
_VALIDATION = ("validation/rmse/generator", "validation/log_spectrum_error/generator")

Task = SuperResolution
"""Union of all tasks, discriminated by `task`."""
