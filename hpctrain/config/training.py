"""What every `train:` block has, whatever the task: epochs, batch, precision, checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from hpctrain.config.averaging import Ema
from hpctrain.config.non_finite import NonFinite
from hpctrain.config.reduction import Reduction
from hpctrain.config.schedule import Schedule
from hpctrain.config.schema import Schema
from hpctrain.config.words import nearest


class Checkpoints(Schema):
    """When the state is saved, and how much of it is kept."""

    every_epochs: PositiveInt = 1
    """Save at the end of every so many epochs."""
    every_steps: PositiveInt | None = None
    """Also save every so many steps within an epoch."""
    keep_last: PositiveInt = 3
    """How many of the newest are kept, of those at epoch ends and of those within epochs each."""
    keep_every: PositiveInt | None = None
    """Keep those of every so many epochs for good; null: none beyond `keep_last`."""
    best: str | None = None
    """Number of the validation, the smaller the better, by which best.pt is kept beside them, out
    of the epochs that are saved; null: none."""

    @model_validator(mode="after")
    def _kept_are_saved(self) -> Checkpoints:
        if self.keep_every and self.keep_every % self.every_epochs:
            raise ValueError(
                f"keep_every is {self.keep_every}, but only every {self.every_epochs} epochs are "
                "saved; give a multiple of every_epochs"
            )
        return self


class Training(Schema):
    """Fields that every task shares."""

    reads: ClassVar[str] = "fields"
    """The kind of `data:` block that the task learns from."""

    epochs: PositiveInt
    """How often the training set is gone through."""
    global_batch_size: PositiveInt
    """Samples a step over all ranks: what the science fixes; ranks divide it."""
    accumulate: PositiveInt = 1
    """Micro-batches a rank cuts its share into; gradients are summed before they are sent."""
    last_batch: Literal["drop", "keep"] = "drop"
    """The batch that the samples of an epoch do not fill: left out, or a step on what is there."""
    seed: NonNegativeInt = 0
    """All random draws follow from it."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: bfloat16 where a short probe finds it faster, else float32; float16 scales losses."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """Layout of 2D and 3D networks; auto: found by the same probe, or fitting to precision."""
    compile: bool = False
    """Compile networks with torch.compile: minutes at the start, and a C++ compiler is needed."""
    activation_checkpointing: bool = False
    """Compute activations of blocks again in the backward pass: less memory, a third more work."""
    deterministic: bool = False
    """Only algorithms that repeat bit for bit; slower on GPUs."""
    clip_grad_norm: PositiveFloat | None = None
    """Clip the global norm of each optimizer's gradient."""
    ema: Ema | None = None
    """Moving average of weights; null: none."""
    reduction: Reduction = Reduction()
    """How gradients are joined over ranks."""
    sync_batch_norm: bool = False
    """BatchNorm over the samples of all ranks, instead of each rank's own."""
    schedule: Schedule = Schedule()
    """Learning rate by step, for all optimizers."""
    checkpoints: Checkpoints = Checkpoints()
    """When the state is saved."""
    non_finite: NonFinite = NonFinite()
    """What is done about a loss or gradient that is no number."""
    watchdog_s: NonNegativeFloat = 45.0
    """A step longer than this, and than ten times the longest, has hung: the job ends; 0: off."""
    log_every_steps: PositiveInt = 10
    """Steps between log lines and TensorBoard points."""
    validate_every_epochs: PositiveInt = 1
    """Epochs between validations."""
    figures_every_epochs: NonNegativeInt = 1
    """Epochs between figures in TensorBoard, and after the last one; 0: none."""

    @property
    def rising(self) -> frozenset[str]:
        """Numbers of the validation that are better the larger they are."""
        return frozenset()

    @property
    def validated(self) -> tuple[str, ...]:
        """Numbers of the validation that runs can be judged by."""
        return ()

    def _check_plateau_mode(self) -> None:
        """For tasks that know all numbers of their validation: which way each gets better."""
        plateau = self.schedule.plateau
        if plateau is None or not plateau.metric.startswith("validation/"):
            return
        mode, size = ("max", "larger") if plateau.metric in self.rising else ("min", "smaller")
        if plateau.mode != mode:
            raise ValueError(
                f"schedule.plateau.mode: found {plateau.mode}, by which the rate would fall while "
                f"{plateau.metric} gets better, which is the better the {size} it is; give mode: "
                f"{mode}"
            )

    def _check_metrics(self, losses: Sequence[str], validation: Sequence[str]) -> None:
        plateau = self.schedule.plateau.metric if self.schedule.plateau else None
        best = self.checkpoints.best
        for key, metric, known in (
            ("schedule.plateau.metric", plateau, (*losses, *validation)),
            ("checkpoints.best", best, tuple(validation)),
        ):
            if metric is not None and metric not in known:
                raise ValueError(
                    f"{key}: unknown {metric!r}; choose from {', '.join(known)}"
                    f"{nearest(metric, known)}"
                )
        self._check_plateau_mode()

    def _check_averaged(self, *names: str) -> None:
        for found in self.ema.models if self.ema else ():
            if found not in names:
                raise ValueError(
                    f"ema.models: unknown {found!r}; choose from {', '.join(names)}"
                    f"{nearest(found, names) if len(names) > 1 else ''}"
                )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Training:
        if self.precision == "float16" and self.non_finite.policy != "stop":
            raise ValueError(
                f"non_finite.policy {self.non_finite.policy} does not go with precision float16, "
                "whose loss scaling leaves out steps by itself; choose bfloat16, or policy: stop"
            )
        if self.compile and self.activation_checkpointing:
            raise ValueError(
                "compile and activation_checkpointing do not go together, because a compiler "
                "cannot follow draws that are repeated; choose one"
            )
        return self

    def misfit(self, data: Any) -> tuple[str, str] | None:
        """Key of the `data:` block, and why the task cannot learn from it; None: it can.

        Args:
            data: the block, of the kind that the task reads.
        """
        return None
