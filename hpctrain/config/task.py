"""The `train:` block: a union of tasks, told apart by the key `task`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    field_validator,
    model_validator,
)

from hpctrain.config.adversary import AdversaryRules as AdversaryRules
from hpctrain.config.adversary import GanOptimizer as GanOptimizer
from hpctrain.config.adversary import GradientPenalty as GradientPenalty
from hpctrain.config.adversary import InstanceNoise as InstanceNoise
from hpctrain.config.dino import Dino as Dino
from hpctrain.config.field_gan import FieldGan as FieldGan
from hpctrain.config.ink import Ink as Ink
from hpctrain.config.networks import Discriminator, Generator, ResidualCritic, Srsgan, UNet
from hpctrain.config.schema import Schema
from hpctrain.config.scroll_vae import ScrollVae as ScrollVae
from hpctrain.config.training import Training
from hpctrain.config.vicreg import Vicreg as Vicreg
from hpctrain.config.words import nearest


class Adversary(AdversaryRules):
    """The discriminator's side of a training of fields."""

    preset: Literal["fast"] | None = None
    """fast: critic_steps 1 and gradient_penalty {kind: r1, weight: 10, every: 16}, another
    algorithm, of fewer and cheaper critic steps. With --set it wins over these keys of the file;
    beside it weight and every may be given, but no other critic_steps or kind. null: none."""
    discriminator: Discriminator = ResidualCritic()
    """The network."""
    content_weight: NonNegativeFloat = 0.0
    """Share of the criterion in the generator's loss beside the adversarial loss."""
    conditional: bool = True
    """The critic sees the upsampled input beside the field; false: the field alone."""
    spectral_weight: NonNegativeFloat = 0.0
    """Share of the spectral loss in the generator's loss: squared difference of the logarithms of
    power spectra, where the truth has more than a millionth of its largest power."""


class InitialWeights(Schema):
    """Weights of a training by map2map to begin with (state_*.pt)."""

    path: str
    """The file; relative to data.root."""
    layout: Literal["map2map", "srs_map2map"] = "map2map"
    """srs_map2map: that of SRS-map2map, whose code adds each noise twice."""


class FieldTraining(Training):
    """What trainings from fields to fields share."""

    task: str
    upscale_factor: PositiveInt
    generator: Generator
    optimizer: GanOptimizer = GanOptimizer()
    """The generator's optimizer."""
    criterion: str = "mse"
    """Pixel loss: mse, l1, huber, a loss of torch.nn, or module.Class of the user's code."""
    adversary: Adversary | None = None
    """null: train the generator on the criterion alone."""
    pretrain_epochs: NonNegativeInt = 0
    """First epochs in which the generator learns from the criterion alone."""
    initial_weights: InitialWeights | None = None
    """null: random ones."""

    @property
    def validated(self) -> tuple[str, ...]:
        """Numbers of the validation that runs can be judged by."""
        return _VALIDATION

    @model_validator(mode="after")
    def _metric_exists(self) -> FieldTraining:
        plateau = self.schedule.plateau
        known = [*_LOSSES, *(_ADVERSARIAL_LOSSES if self.adversary else ()), *_VALIDATION]
        if plateau and plateau.metric not in known:
            raise ValueError(
                f"schedule.plateau.metric: unknown {plateau.metric!r}; choose from "
                f"{', '.join(known)}{nearest(plateau.metric, known)}"
            )
        best = self.checkpoints.best
        if best is not None and best not in _VALIDATION:
            raise ValueError(
                f"checkpoints.best: unknown {best!r}; choose from {', '.join(_VALIDATION)}"
                f"{nearest(best, _VALIDATION)}"
            )
        self._check_plateau_mode()
        return self

    @model_validator(mode="after")
    def _averaged_exist(self) -> FieldTraining:
        known = ["generator", *(["discriminator"] if self.adversary else [])]
        for name in self.ema.models if self.ema else ():
            if name not in known:
                raise ValueError(
                    f"ema.models: unknown {name!r}; choose from {', '.join(known)}"
                    f"{nearest(name, known)}"
                )
        return self

    @model_validator(mode="after")
    def _repeatable(self) -> FieldTraining:
        if self.activation_checkpointing and self.adversary and self.adversary.spectral_norm:
            raise ValueError(
                "adversary.spectral_norm does not go with activation_checkpointing, as its norms "
                "move on with each forward pass; choose one"
            )
        return self

    @model_validator(mode="after")
    def _networks_fit(self) -> FieldTraining:
        kind, factor = self.generator.kind, self.upscale_factor
        if kind in ("unet", "vnet") and factor > 1:
            raise ValueError(
                f"generator.kind: {kind} works at one resolution and upscale_factor is {factor}; "
                "choose srsgan or styled"
            )
        if kind in ("srsgan", "styled") and factor == 1:
            raise ValueError(
                f"generator.kind: {kind} upsamples, and upscale_factor is 1; choose unet or vnet"
            )
        critic = self.adversary.discriminator if self.adversary else None
        is_plane = getattr(self.generator, "dims", 3) == 2
        if critic is None or critic.kind not in ("srsgan", "patch"):
            return self
        if is_plane != (getattr(critic, "dims", 3) == 2):
            raise ValueError(
                "adversary.discriminator: generator and discriminator work on unequal numbers of "
                "axes; choose kind: patch with the generator's dims"
            )
        return self


class SuperResolution(FieldTraining):
    """Conditional 3D GAN, or a plain regression when `adversary` is null."""

    task: Literal["super_resolution"]
    upscale_factor: PositiveInt
    """Power of two; checked against the shapes of input and target."""
    generator: Generator = Srsgan()
    """The network that is kept."""

    @field_validator("upscale_factor")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value < 2 or value & (value - 1):
            raise ValueError(f"{value} is not a power of two; choose 2, 4, 8 or 16")
        return value


class FieldToField(FieldTraining):
    """Other fields out of given ones, at one resolution or finer: an emulator."""

    task: Literal["field_to_field"]
    upscale_factor: PositiveInt = 1
    """Target cells an input cell along each axis: 1, or a power of two."""
    generator: Generator = UNet(kind="unet")
    """The network that is kept."""

    @field_validator("upscale_factor")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError(f"{value} is not a power of two; choose 1, 2, 4, 8 or 16")
        return value


_LOSSES = ("train/loss/generator",)
_ADVERSARIAL_LOSSES = ("train/loss/content", "train/loss/adversarial", "train/loss/discriminator")
_VALIDATION = ("validation/rmse/generator", "validation/log_spectrum_error/generator")

Task = Annotated[
    SuperResolution | FieldToField | FieldGan | ScrollVae | Ink | Vicreg | Dino,
    Field(discriminator="task"),
]
"""Union of all tasks, discriminated by `task`."""
