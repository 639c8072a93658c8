"""The task `field_gan`: fields out of noise."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from hpctrain.config.adversary import AdversaryRules, GanOptimizer, GradientPenalty
from hpctrain.config.data import Fields
from hpctrain.config.schema import Schema
from hpctrain.config.training import Checkpoints, Training
from hpctrain.config.words import Line, nearest


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"{value} is even; give an odd number, such as 5")
    return value


Odd = Annotated[PositiveInt, AfterValidator(_odd)]


class DcganOptimizer(GanOptimizer):
    """Optimizer of a DCGAN's network (Radford et al. 2016)."""

    learning_rate: PositiveFloat = 2.0e-4
    """First learning rate."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates; left out for optimizers that do not take them."""


class Dcgan(Schema):
    """Dense layer and transposed convolutions, each doubling the resolution (CosmoGAN)."""

    kind: Literal["dcgan"] = "dcgan"
    """Sizes are multiples of 2 to the power of the number of layers."""
    noise_size: PositiveInt = 64
    """Normal numbers that a field is made of."""
    channels: list[PositiveInt] = Field([64, 128, 256, 512], min_length=1)
    """Width of each layer, from the finest to the coarsest; as many layers."""
    kernel: Odd = 5
    """Cells of the kernel along each axis; odd."""
    output: Literal["tanh", "linear"] = "tanh"
    """tanh: normalised values lie in (-1, 1), as with the norms ratio and minmax."""


class DcganCritic(Schema):
    """Convolutions, each halving the resolution, and a dense layer to one logit."""

    kind: Literal["dcgan"] = "dcgan"
    """Sizes are multiples of 2 to the power of the number of layers."""
    channels: list[PositiveInt] = Field([64, 128, 256, 512], min_length=1)
    """Width of each layer, from the first to the last; as many layers."""
    kernel: Odd = 5
    """Cells of the kernel along each axis; odd."""
    norm: Literal["batch", "none"] = "batch"
    """Behind each convolution; a gradient penalty wants none."""


class FieldAdversary(AdversaryRules):
    """The discriminator's side of `field_gan`."""

    discriminator: DcganCritic = DcganCritic()
    """The network."""
    optimizer: DcganOptimizer = DcganOptimizer()
    """Its optimizer."""
    loss: Literal["wasserstein", "bce", "hinge", "least_squares"] = "bce"
    """Adversarial criterion; bce works on logits."""
    gradient_penalty: GradientPenalty | None = None
    """null: none."""
    critic_steps: PositiveInt = 1
    """Discriminator steps a generator step; ExaGAN's DG_update_ratio of 2 is 1."""
    label_flip: float = Field(default=0.01, ge=0.0, lt=0.5)
    """Share of true and of made samples that the discriminator is told to be the other kind."""
    spectral_weight: NonNegativeFloat = 0.0
    """Share of the spectral loss in the generator's: squared difference of the logarithms of mean
    power spectra, each over the samples of a rank's micro-batch, of which there should be many."""

    @property
    def content_weight(self) -> float:
        """Share of what is compared with true fields in the generator's loss."""
        return self.spectral_weight

    @property
    def conditional(self) -> bool:
        """No field stands beside the one that is judged."""
        return False

    @model_validator(mode="after")
    def _flipped(self) -> FieldAdversary:
        if self.label_flip and self.loss == "least_squares":
            raise ValueError(
                "label_flip does not go with loss: least_squares, whose labels lie not evenly "
                "about 0; set it to 0, or choose bce"
            )
        return self


class Judgement(Schema):
    """How made fields are compared with those of validation."""

    num_bins: int = Field(25, ge=2)
    """Bins of the histogram of values, evenly spaced up to the mean and logarithmic beyond."""
    cell_size: PositiveFloat = 1.0
    """Edge of a cell in `length_unit`, for the spectra's axis."""
    length_unit: Line = "Mpc/h"
    """Unit of `cell_size`."""


class JudgedCheckpoints(Checkpoints):
    """When the state is saved, and which is the best."""

    best: str | None = "validation/chi2/both"
    """Number of the validation, the smaller the better, by which best.pt is kept beside them, out
    of the epochs that are saved; null: none."""


class FieldGan(Training):
    """Generator of fields, slices or cubes, that a discriminator cannot tell from true ones."""

    task: Literal["field_gan"]
    generator: Dcgan = Dcgan()
    """The network that is kept."""
    optimizer: DcganOptimizer = DcganOptimizer()
    """The generator's optimizer."""
    adversary: FieldAdversary = FieldAdversary()
    """The discriminator's side."""
    rescaled_by: list[PositiveFloat] = []
    """Multi-channel rescaling: for each number c the discriminator also sees tanh(x / c) of the
    physical values x, true or made, so that rare high values count; ExaGAN: [1000]."""
    judgement: Judgement = Judgement()
    """Validation of made fields."""
    checkpoints: JudgedCheckpoints = JudgedCheckpoints()
    """When the state is saved."""

    @property
    def upscale_factor(self) -> int:
        """Fields are made at the resolution of the files."""
        return 1

    @property
    def validated(self) -> tuple[str, ...]:
        """Numbers of the validation that runs can be judged by."""
        return VALIDATION

    @model_validator(mode="after")
    def _metrics_exist(self) -> FieldGan:
        plateau = self.schedule.plateau
        asked = {"schedule.plateau.metric": plateau.metric if plateau else None}
        known = [*_LOSSES, *VALIDATION]
        for key, metric in asked.items():
            if metric is not None and metric not in known:
                raise ValueError(
                    f"{key}: unknown {metric!r}; choose from {', '.join(known)}"
                    f"{nearest(metric, known)}"
                )
        best = self.checkpoints.best
        if best is not None and best not in VALIDATION:
            raise ValueError(
                f"checkpoints.best: unknown {best!r}; choose from {', '.join(VALIDATION)}"
                f"{nearest(best, VALIDATION)}"
            )
        self._check_plateau_mode()
        return self

    @model_validator(mode="after")
    def _averaged_exist(self) -> FieldGan:
        known = ["generator", "discriminator"]
        for name in self.ema.models if self.ema else ():
            if name not in known:
                raise ValueError(
                    f"ema.models: unknown {name!r}; choose from {', '.join(known)}"
                    f"{nearest(name, known)}"
                )
        return self

    @model_validator(mode="after")
    def _normalised(self) -> FieldGan:
        if self.last_batch == "keep":
            raise ValueError(
                "last_batch: keep does not go with BatchNorm, for which a short batch may be a "
                "single sample; choose drop"
            )
        if self.activation_checkpointing:
            raise ValueError(
                "activation_checkpointing does not go with BatchNorm, whose means move on with "
                "each forward pass; set it to false, or accumulate over smaller micro-batches"
            )
        return self

    def misfit(self, data: Any) -> tuple[str, str] | None:
        """Why fields cannot be made from noise with a `data:` block; see `Training`."""
        return _misfit(self, data)


_LOSSES = (
    "train/loss/generator",
    "train/loss/discriminator",
    "train/loss/adversarial",
    "train/loss/content",
)
VALIDATION = ("validation/chi2/both", "validation/chi2/histogram", "validation/chi2/spectrum")
"""What a validation measures; smaller is better."""


def _misfit(settings: FieldGan, data: Fields) -> tuple[str, str] | None:
    """Key of the `data:` block, and why fields cannot be made from noise with it; None: they can.

    Args:
        settings: the `train:` block.
        data: the `data:` block.
    """
    if data.geometry != "box":
        return "geometry", f"found {data.geometry}; field_gan makes fields in a box: give box"
    if data.inputs or data.input_norms:
        key = "inputs" if data.inputs else "input_norms"
        return key, "field_gan makes fields from noise; leave it out"
    cells = [n for axis, n in enumerate(data.crop) if axis or n > 1]
    networks = (settings.generator, settings.adversary.discriminator)
    factor = max(2 ** len(block.channels) for block in networks)
    if any(n % factor for n in cells):
        return "crop", (
            f"found {list(data.crop)}; the networks halve a field {factor.bit_length() - 1} times: "
            f"give a multiple of {factor} along each axis (1 along the first for slices), or fewer "
            "channels, one a layer"
        )
    return None
