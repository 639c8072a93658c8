"""The task `dino`: a student that tells of its crops what its teacher tells of others."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from hpctrain.config.alarms import DinoAlarms
from hpctrain.config.optimizer import Optimizer
from hpctrain.config.pair_training import WATCHED, Misfit, PairTraining
from hpctrain.config.schema import Schema
from hpctrain.config.training import Checkpoints


class DinoHeadLayers(Schema):
    """Layers behind the backbone, which end in products with prototypes."""

    prototypes: PositiveInt = 65536
    """What pictures are told apart by; 4096 are enough for small data sets."""
    hidden: PositiveInt = 2048
    """Width of inner layers."""
    bottleneck: PositiveInt = 256
    """Numbers before the prototypes."""
    layers: PositiveInt = 3
    """Layers up to the bottleneck."""
    is_gain_fixed: bool = True
    """Prototypes keep the length 1, which is stable; false: their lengths are learned."""


class TeacherTemperature(Schema):
    """How sharp the teacher's answers are: linear by step, then constant."""

    first: PositiveFloat = 0.04
    """At the first step."""
    last: PositiveFloat = 0.04
    """After the warm-up; up to 0.07 in long trainings."""
    warmup_steps: NonNegativeInt = 0
    """Steps from the first to the last."""

    @model_validator(mode="after")
    def _both(self) -> TeacherTemperature:
        if (self.first != self.last) != bool(self.warmup_steps):
            raise ValueError(
                f"first {self.first} and last {self.last} do not go with warmup_steps "
                f"{self.warmup_steps}; give two values and steps between them, or one value"
            )
        return self


class Centring(Schema):
    """What keeps the teacher from telling always the same."""

    kind: Literal["centre", "sinkhorn_knopp"] = "centre"
    """centre: take away the running mean of its logits; sinkhorn_knopp: let each batch use all
    prototypes alike (Caron et al. 2020)."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Centre: share of itself that it keeps in a step."""
    iterations: PositiveInt = 3
    """Sinkhorn-Knopp: rounds of normalising."""

    @model_validator(mode="after")
    def _has_effect(self) -> Centring:
        for name, kind in (("momentum", "centre"), ("iterations", "sinkhorn_knopp")):
            default = type(self).model_fields[name].default
            if self.kind != kind and getattr(self, name) != default:
                raise ValueError(f"{name} has no effect with kind: {self.kind}; leave it out")
        return self


class Masking(Schema):
    """Hidden patches that the student must tell as the teacher does, who sees them (iBOT)."""

    weight: PositiveFloat = 1.0
    """Of this loss beside the other."""
    share: float = Field(default=0.5, gt=0.0, le=1.0)
    """Share of the pictures with hidden patches."""
    ratio: tuple[float, float] = (0.1, 0.5)
    """Lowest and highest share of the patches of such a picture that are hidden."""

    @model_validator(mode="after")
    def _rising(self) -> Masking:
        low, high = self.ratio
        if not 0 < low <= high < 1:
            raise ValueError(
                f"ratio: found {list(self.ratio)}; allowed: a low and a higher number, between 0 "
                "and 1"
            )
        return self


class DinoOptimizer(Optimizer):
    """The student's."""

    name: str = "AdamW"
    """LARS, LAMB, class name in torch.optim, or module.Class."""
    learning_rate: PositiveFloat = 5.0e-4
    """Rate after warm-up; as published 0.0005 times global_batch_size / 256."""
    weight_decay: NonNegativeFloat = 0.04
    """Weight decay; `schedule.final_weight_decay` lets it rise, as published to 0.4."""
    exclude_1d: bool = True
    """Biases and scales of norms take no weight decay, and in LARS and LAMB a plain step."""


class DinoCheckpoints(Checkpoints):
    """When the state is saved, and which is the best."""

    best: str | None = None
    """Number of the validation by which best.pt is kept beside them, out of the epochs that are
    saved: r1_rgb_to_ir, knn_rgb and others (larger is better), or loss, which tells little of what
    is learned; null: none."""


class Dino(PairTraining):
    """Self-distillation without labels (Caron et al. 2021) on two modalities."""

    task: Literal["dino"]
    strategy: Literal["alternating", "rgb_teacher", "ir_teacher", "joint"] = "alternating"
    """Which pictures whom are shown. alternating: a step of rgb alone, then one of ir;
    rgb_teacher: rgb to the teacher, ir to the student; ir_teacher: the reverse; joint: both to
    both, across modalities, too."""
    share_backbone: bool = True
    """One network and head for both modalities, which then have as many channels; strategies other
    than joint need it."""
    head: DinoHeadLayers = DinoHeadLayers()
    """Behind the backbone."""
    student_temperature: PositiveFloat = 0.1
    """Of the student's softmax."""
    teacher_temperature: TeacherTemperature = TeacherTemperature()
    """Of the teacher's softmax."""
    teacher_momentum: float = Field(default=0.996, ge=0.0, lt=1.0)
    """Share of itself that the teacher keeps in the first step; rises to 1 on a cosine."""
    centring: Centring = Centring()
    """What keeps the teacher from telling always the same."""
    freeze_last_layer_epochs: NonNegativeInt = 1
    """First epochs in which the prototypes stay as they are."""
    koleo_weight: NonNegativeFloat = 0.0
    """Weight of KoLeo, which spreads the student's embeddings of a batch; DINOv2 has 0.1."""
    masking: Masking | None = None
    """Hidden patches, for backbones of kind vit; null: none."""
    optimizer: DinoOptimizer = DinoOptimizer()
    """The student's."""
    alarms: DinoAlarms = DinoAlarms()
    """What is watched for, and told of in the log, in TensorBoard and by `hpctrain status`."""
    checkpoints: DinoCheckpoints = DinoCheckpoints()
    """When the state is saved."""

    @property
    def crosses(self) -> bool:
        """Whether teacher and student always see unlike modalities."""
        return self.strategy in ("rgb_teacher", "ir_teacher")

    @model_validator(mode="after")
    def _consistent(self) -> Dino:
        self._check_metrics(LOSSES, VALIDATION)
        self._check_pairs()
        if self.ema is not None:
            raise ValueError("ema: the teacher is the moving average of the student; leave it out")
        if not self.share_backbone and self.strategy != "joint":
            raise ValueError(
                f"share_backbone: false does not go with strategy: {self.strategy}, in which a "
                "network would learn nothing from the other modality; choose joint, or true"
            )
        if self.koleo_weight and self.accumulate > 1:
            raise ValueError(
                f"koleo_weight does not go with accumulate {self.accumulate}, as nearest "
                "neighbours are of the whole batch; set one of them to its default"
            )
        if self.koleo_weight and self.last_batch == "keep":
            raise ValueError(
                "koleo_weight does not go with last_batch: keep, as a single sample has no "
                "neighbour; choose drop"
            )
        return self

    @model_validator(mode="after")
    def _maskable(self) -> Dino:
        if self.masking is None:
            return self
        kinds = {block.kind for block in self.modality_backbones.values()}
        if kinds != {"vit"}:
            raise ValueError(
                f"masking: a backbone of kind {sorted(kinds - {'vit'})[0]} has no patches to hide; "
                "choose kind: vit, or masking: null"
            )
        if self.crosses:
            raise ValueError(
                f"masking does not go with strategy: {self.strategy}, in which the teacher never "
                "sees the student's picture; choose alternating or joint"
            )
        return self

    def misfit(self, data: Any) -> Misfit:
        """Key of the `data:` block, and why the task cannot learn from it; None: it can."""
        if data.views.total < 2 and self.strategy == "alternating":
            return "views", (
                "found one crop of each picture, and the student is to tell of one crop what the "
                "teacher tells of another; give count: 2, or local_count"
            )
        return super().misfit(data)


_PARTS = ("dino", "cross_entropy", "koleo", "masked", "teacher_entropy")
LOSSES = tuple(f"train/loss/{name}" for name in _PARTS)
VALIDATION = ("validation/loss", *WATCHED)
