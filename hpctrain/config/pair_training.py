"""What trainings on pairs of pictures share: backbones, what is watched, what does not fit."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import PositiveInt

from hpctrain.config.backbone import Backbone, VitBackbone
from hpctrain.config.pair_data import Pairs
from hpctrain.config.schema import Schema
from hpctrain.config.training import Training
from hpctrain.config.words import Line

Misfit = tuple[str, str] | None
_RETRIEVAL = tuple(f"validation/r1_{a}_to_{b}" for a, b in (("rgb", "ir"), ("ir", "rgb")))
WATCHED = (
    *_RETRIEVAL,
    *(f"validation/{what}_{m}" for what in ("std", "effective_rank") for m in ("rgb", "ir")),
    *(f"validation/knn_{m}" for m in ("rgb", "ir")),
)
"""Numbers of the validation that both tasks have; those of kNN with `watch.column`."""
_OF_LABELS = "validation/knn_"
FEWEST = 4
"""Validation pairs that can be watched."""


class Watch(Schema):
    """Held-out pairs whose embeddings are compared after each epoch."""

    samples: PositiveInt = 256
    """How many, spread over the validation pairs; they are kept in memory."""
    column: Line | None = None
    """Column of the index that nearest neighbours are to tell, such as node or daylight; null:
    none."""
    neighbours: PositiveInt = 10
    """How many neighbours vote; fewer where there are not so many pairs."""


class PairTraining(Training):
    """Fields that both tasks have."""

    reads: ClassVar[str] = "pairs"

    backbone: Backbone = VitBackbone()
    """Network that turns a picture into a vector."""
    ir_backbone: Backbone | None = None
    """That of the modality `ir`; null: as `backbone`."""
    share_backbone: bool
    """One network for both modalities, which then have as many channels."""
    watch: Watch = Watch()
    """What is measured beside the loss after each epoch."""

    @property
    def upscale_factor(self) -> int:
        """Nothing is made finer."""
        return 1

    @property
    def rising(self) -> frozenset[str]:
        """Numbers of the validation that are better the larger they are."""
        return frozenset(WATCHED)

    @property
    def validated(self) -> tuple[str, ...]:
        """Numbers of the validation that runs can be judged by."""
        has_labels = self.watch.column is not None
        watched = (name for name in WATCHED if has_labels or not name.startswith(_OF_LABELS))
        return ("validation/loss", *watched)

    @property
    def same_loss_from(self) -> int:
        """First step from which on the loss has the same weights."""
        return 0

    @property
    def modality_backbones(self) -> dict[str, Backbone]:
        """The block of each modality's network."""
        return {"rgb": self.backbone, "ir": self.ir_backbone or self.backbone}

    @property
    def has_batch_norm(self) -> bool:
        """Whether a backbone has BatchNorm, as far as is known here."""
        return any(block.kind != "vit" for block in self.modality_backbones.values())

    def _check_pairs(self) -> None:
        if self.share_backbone and self.ir_backbone is not None:
            raise ValueError(
                "ir_backbone has no effect with share_backbone: true; leave one of them out"
            )
        if self.watch.column is None and self.watch.neighbours != Watch().neighbours:
            raise ValueError("watch.neighbours has no effect without watch.column; give one")
        if self.last_batch == "keep" and self.has_batch_norm:
            raise ValueError(
                "last_batch: keep does not go with BatchNorm, for which a short batch may be a "
                "single sample; choose drop"
            )
        if self.activation_checkpointing and self.has_batch_norm:
            raise ValueError(
                "activation_checkpointing does not go with BatchNorm, whose means move on with "
                "each forward pass; set it to false, or choose a backbone of kind: vit"
            )
        if self.reduction.op != "mean":
            raise ValueError(
                f"reduction.op: {self.reduction.op} does not go with task {self.task}, whose "  # type: ignore[attr-defined]
                "batch is compared as a whole; choose mean"
            )

    def _shared_misfit(self, data: Pairs) -> Misfit:
        rgb, ir = data.modalities.rgb, data.modalities.ir
        if not self.share_backbone:
            return None
        if rgb.num_channels != ir.num_channels:
            return "modalities", (
                f"found {rgb.num_channels} channels of rgb ({rgb.channels}) and {ir.num_channels} "
                f"of ir ({ir.channels}), and one network is to take both (train.share_backbone); "
                "give both as many, such as temperature_bins for ir, or share_backbone: false"
            )
        if rgb.crop != ir.crop and self.backbone.kind in ("transformers", "timm"):
            return "modalities", (
                f"found crops of {list(rgb.crop)} and {list(ir.crop)}, and one network of kind "
                f"{self.backbone.kind} is to take both; give equal crops, or kind: vit or resnet"
            )
        return None

    def misfit(self, data: Any) -> Misfit:
        """Key of the `data:` block, and why the task cannot learn from it; None: it can."""
        return self._shared_misfit(data)
