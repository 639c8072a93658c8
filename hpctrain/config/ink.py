"""The task `ink`: where ink is on windows of a flattened surface."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from hpctrain.config.optimizer import Optimizer
from hpctrain.config.schema import Schema
from hpctrain.config.scroll_vae import ScrollTraining, size_misfit
from hpctrain.config.training import Checkpoints


class InkEncoderDecoder(Schema):
    """The encoder of `scroll_vae`, and a decoder of pictures with skips."""

    kind: Literal["encoder_decoder"]
    """Takes the weights of a VAE."""
    block: Literal["plain", "batch_norm", "residual"] = "batch_norm"
    """Of the encoder, as in `scroll_vae`."""
    channels: PositiveInt = 32
    """Width of the encoder's first layer, doubled from layer to layer."""
    layers: PositiveInt = 3
    """How often a window is halved along each axis."""


class InkUNet(Schema):
    """A 3D stem whose depth becomes channels, and a 2D U-Net behind it (2.5D)."""

    kind: Literal["unet"] = "unet"
    """Keeps rows and columns at full resolution."""
    stem: PositiveInt = 16
    """Width of the two 3D convolutions, each of which halves the depth."""
    channels: PositiveInt = 32
    """Width of the U-Net."""
    levels: PositiveInt = 3
    """How often the U-Net halves rows and columns."""


InkNetwork = Annotated[InkEncoderDecoder | InkUNet, Field(discriminator="kind")]


def _ink_weight(value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    if value != "balanced" and not is_number:
        raise ValueError(f"found {value!r}; allowed: balanced, or a number above 0")
    return value


class InkLoss(Schema):
    """A weighted sum; parts of weight 0 are not computed."""

    bce: NonNegativeFloat = 1.0
    """Weight of the cross-entropy."""
    dice: NonNegativeFloat = 0.0
    """Weight of the Dice loss, window by window."""
    focal: NonNegativeFloat = 0.0
    """Weight of the focal loss."""
    focal_gamma: NonNegativeFloat = 2.0
    """How much less easy pixels count in the focal loss."""
    f_beta: NonNegativeFloat = 0.0
    """Weight of 1 - F_beta by probability, window by window."""
    beta: PositiveFloat = 0.5
    """How much more recall counts than precision in `f_beta`; the ink challenge has 0.5."""
    ink_weight: Annotated[float | Literal["balanced"], BeforeValidator(_ink_weight)] = 1.0
    """How often a pixel of ink counts in cross-entropy and focal loss; balanced: as often as makes
    both classes weigh alike, measured on training windows at the start."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Labels of cross-entropy and focal loss are drawn towards 1/2 by this share; dice, f_beta and
    validation have them as they are."""

    @model_validator(mode="after")
    def _not_empty(self) -> InkLoss:
        if not (self.bce or self.dice or self.focal or self.f_beta):
            raise ValueError("all weights are 0; give bce, dice, focal or f_beta one above 0")
        if self.ink_weight != 1.0 and not (self.bce or self.focal):
            raise ValueError("ink_weight has an effect on bce and focal alone; leave it out")
        for name, part in (("focal_gamma", "focal"), ("beta", "f_beta")):
            default = type(self).model_fields[name].default
            if getattr(self, name) != default and not getattr(self, part):
                raise ValueError(
                    f"{name} has no effect without {part}; leave it out or put {default}, or give "
                    f"{part} a weight"
                )
        if self.label_smoothing and not (self.bce or self.focal):
            raise ValueError("label_smoothing has an effect on bce and focal alone; leave it out")
        return self


class VaeWeights(Schema):
    """Weights of the encoder from a run of `scroll_vae`."""

    path: str
    """A checkpoint, such as jobs/scroll/checkpoints/best.pt; relative to data.root."""
    encoder: Literal["fine_tuned", "frozen"] = "fine_tuned"
    """frozen: the encoder learns no more, and its BatchNorm keeps its means."""


class InkOptimizer(Optimizer):
    """The network's."""

    name: str = "AdamW"
    """LARS, LAMB, class name in torch.optim, or module.Class."""
    learning_rate: PositiveFloat = 1.0e-3
    """Rate after warm-up."""


class InkCheckpoints(Checkpoints):
    """When the state is saved, and which is the best."""

    best: str | None = "validation/f05"
    """Number of the validation by which best.pt is kept beside them, out of the epochs that are
    saved: f05, auc, dice, average_precision (larger is better) or loss; null: none."""


class Ink(ScrollTraining):
    """Probability of ink for each pixel of a surface, from the layers about it."""

    task: Literal["ink"]
    network: InkNetwork = InkUNet()
    """The network."""
    loss: InkLoss = InkLoss()
    """What is minimised; pixels outside the mask count nothing."""
    initial_weights: VaeWeights | None = None
    """null: random ones."""
    optimizer: InkOptimizer = InkOptimizer()
    """Of what is trained."""
    checkpoints: InkCheckpoints = InkCheckpoints()
    """When the state is saved."""

    @property
    def validated(self) -> tuple[str, ...]:
        """Numbers of the validation that runs can be judged by."""
        return VALIDATION

    @model_validator(mode="after")
    def _consistent(self) -> Ink:
        self._check_metrics(LOSSES, VALIDATION)
        self._check_averaged("ink")
        self._check_batch_norm("batch_norm")
        if self.initial_weights and self.network.kind != "encoder_decoder":
            raise ValueError(
                "initial_weights: a VAE has an encoder's weights, which network.kind "
                f"{self.network.kind} has no place for; choose kind: encoder_decoder"
            )
        return self

    def misfit(self, data: Any) -> tuple[str, str] | None:
        """Key of the `data:` block, and why the task cannot learn from it; None: it can."""
        if data.labels is None:
            return "labels", "found null; task ink learns from labels: name their picture"
        if data.sample != "surface":
            return "sample", (
                f"found {data.sample}; task ink learns from windows about a surface: give surface"
            )
        if self.network.kind == "unet":
            return size_misfit(data.window, (1, 2), self.network.levels, "levels")
        return size_misfit(data.window, (0, 1, 2), self.network.layers)


LOSSES = ("train/loss/ink",)
VALIDATION = (
    "validation/f05",
    "validation/auc",
    "validation/dice",
    "validation/average_precision",
    "validation/loss",
)
