"""What every training against a discriminator can choose, whatever its networks."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from hpctrain.config.optimizer import Optimizer
from hpctrain.config.schema import Schema


class GanOptimizer(Optimizer):
    """Optimizer of a GAN's network, without momentum by default (Gulrajani et al. 2017)."""

    betas: tuple[float, float] = (0.0, 0.9)
    """Adam's decay rates; left out for optimizers that do not take them."""


class GradientPenalty(Schema):
    """Keeps the critic's slope in bounds."""

    kind: Literal["wgan_gp", "r1"] = "wgan_gp"
    """wgan_gp: (|grad| - 1)^2 between real and fake (Gulrajani 2017); r1: |grad|^2/2 at real."""
    weight: NonNegativeFloat = 10.0
    """Factor lambda or gamma."""
    every: PositiveInt = 1
    """Only every so many critic steps, then multiplied by that number (lazy regularisation)."""


class InstanceNoise(Schema):
    """Noise on all fields that the critic sees, less in each epoch (Sonderby et al. 2017)."""

    std: PositiveFloat
    """Its deviation in the first adversarial epoch, in normalised units."""
    epochs: PositiveInt
    """Adversarial epochs in which it falls to zero, linearly."""


class AdversaryRules(Schema):
    """How generator and discriminator play against each other."""

    optimizer: GanOptimizer = GanOptimizer()
    """Its optimizer."""
    loss: Literal["wasserstein", "bce", "hinge", "least_squares"] = "wasserstein"
    """Adversarial criterion."""
    gradient_penalty: GradientPenalty | None = GradientPenalty()
    """null: none."""
    critic_steps: PositiveInt = 5
    """Discriminator steps a generator step."""
    adversarial_weight: NonNegativeFloat = 1.0
    """Share of the adversarial loss in the generator's loss."""
    ramp_epochs: NonNegativeInt = 0
    """Adversarial epochs before its weight is whole: in the i-th it is i / (ramp_epochs + 1)."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)
    """bce and least_squares: the critic aims at 1 less this for true fields (Salimans 2016)."""
    spectral_norm: bool = False
    """Divide each of the critic's weights by its largest singular value (Miyato et al. 2018)."""
    instance_noise: InstanceNoise | None = None
    """Noise on what the critic sees; null: none."""
    critic_batches: Literal["separate", "joint"] = "separate"
    """separate: true and made fields pass through the critic one after the other, and what moves
    all scores alike cancels exactly; joint: as one batch, for a GPU that a batch does not fill."""

    @model_validator(mode="after")
    def _smoothed(self) -> AdversaryRules:
        if self.label_smoothing and self.loss not in ("bce", "least_squares"):
            raise ValueError(
                f"label_smoothing has no effect with loss: {self.loss}, which has no labels; leave "
                "it out, or choose bce or least_squares"
            )
        return self

    @model_validator(mode="after")
    def _joined(self) -> AdversaryRules:
        norm = getattr(getattr(self, "discriminator", None), "norm", "none")
        if self.critic_batches == "joint" and norm == "batch":
            raise ValueError(
                "critic_batches: joint does not go with discriminator.norm: batch, whose means "
                "would mix true and made fields; choose separate, or another norm"
            )
        return self
