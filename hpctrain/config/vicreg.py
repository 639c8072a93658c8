"""The task `vicreg`: encoders of two modalities whose embeddings of one scene agree."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from hpctrain.config.alarms import PairAlarms
from hpctrain.config.optimizer import Optimizer
from hpctrain.config.pair_training import WATCHED, Misfit, PairTraining
from hpctrain.config.schema import Schema
from hpctrain.config.training import Checkpoints


class VicregWeights(Schema):
    """Of the parts of the loss, as published."""

    invariance: NonNegativeFloat = 25.0
    """Both embeddings of a pair are alike."""
    variance: NonNegativeFloat = 25.0
    """Each number of an embedding varies over the batch."""
    covariance: NonNegativeFloat = 1.0
    """Numbers of an embedding vary by themselves."""


class VicregOptimizer(Optimizer):
    """Of encoders and expanders."""

    name: str = "LARS"
    """LARS, LAMB, class name in torch.optim, or module.Class."""
    learning_rate: PositiveFloat = 0.2
    """Rate after warm-up; as published 0.2 times global_batch_size / 256, with LARS."""
    weight_decay: NonNegativeFloat = 1.0e-6
    """Weight decay as the optimizer defines it."""
    exclude_1d: bool = True
    """Biases and scales of norms take no weight decay, and in LARS and LAMB a plain step."""


class VicregCheckpoints(Checkpoints):
    """When the state is saved, and which is the best."""

    best: str | None = "validation/loss"
    """Number of the validation by which best.pt is kept beside them, out of the epochs that are
    saved: loss (smaller is better), r1_rgb_to_ir and others (larger); null: none."""


class Vicreg(PairTraining):
    """Variance, invariance and covariance (Bardes et al. 2022) of both pictures of a pair."""

    task: Literal["vicreg"]
    share_backbone: bool = False
    """One network and expander for both modalities, which then have as many channels."""
    expander: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (8192, 8192, 8192)
    """Widths of the layers behind each backbone, which the loss sees and nobody else."""
    weights: VicregWeights = VicregWeights()
    """Of the parts of the loss."""
    sync_batch_norm: bool = True
    """BatchNorm over the samples of all ranks, so that any number of ranks learns the same."""
    optimizer: VicregOptimizer = VicregOptimizer()
    """Of encoders and expanders."""
    alarms: PairAlarms = PairAlarms()
    """What is watched for, and told of in the log, in TensorBoard and by `hpctrain status`."""
    checkpoints: VicregCheckpoints = VicregCheckpoints()
    """When the state is saved."""

    @model_validator(mode="after")
    def _consistent(self) -> Vicreg:
        self._check_metrics(LOSSES, VALIDATION)
        self._check_averaged(*self.networks)
        self._check_pairs()
        if self.last_batch == "keep":
            raise ValueError(
                "last_batch: keep does not go with task vicreg, whose variances may be of a single "
                "pair then; choose drop"
            )
        if self.accumulate > 1:
            raise ValueError(
                f"accumulate: found {self.accumulate}; variances and covariances are of the whole "
                "batch and no sum over its parts: set it to 1, and give more ranks, "
                "activation_checkpointing or a smaller global_batch_size where memory is short"
            )
        if self.global_batch_size < 2:
            raise ValueError("global_batch_size: found 1, which has no variance; give 2 at least")
        return self

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks, as in checkpoints."""
        ends = ("",) if self.share_backbone else ("_rgb", "_ir")
        return tuple(f"{role}{end}" for role in ("backbone", "expander") for end in ends)

    def misfit(self, data: Any) -> Misfit:
        """Key of the `data:` block, and why the task cannot learn from it; None: it can."""
        if data.views.total > 1:
            return "views", (
                f"found {data.views.total} crops of each picture, and task vicreg compares one of "
                "rgb with the same one of ir; give count: 1 and no local_count"
            )
        return super().misfit(data)


LOSSES = tuple(f"train/loss/{n}" for n in ("vicreg", "invariance", "variance", "covariance"))
VALIDATION = ("validation/loss", *WATCHED)
