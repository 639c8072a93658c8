"""What every `train:` block has, whatever the task: epochs, batch, precision, checkpoints."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from hpctrain.config.schedule import Schedule
from hpctrain.config.schema import Schema


class Optimizer(Schema):
    """One optimizer, by its name in torch.optim or as `module.Class` of the user's code."""

    name: str = "Adam"
    """Class name in torch.optim, or module.Class."""
    learning_rate: PositiveFloat = 1e-4
    """Rate after warm-up."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates; left out for optimizers that do not take them."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay as the optimizer defines it."""


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
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 with channels last where a short probe finds it faster, else float32."""
    deterministic: bool = False
    """Only algorithms that repeat bit for bit; slower on GPUs."""
    clip_grad_norm: PositiveFloat | None = None
    """Clip the global norm of each optimizer's gradient."""
    schedule: Schedule = Schedule()
    """Learning rate by step, for all optimizers."""
    checkpoints: Checkpoints = Checkpoints()
    """When the state is saved."""
    log_every_steps: PositiveInt = 10
    """Steps between log lines and TensorBoard points."""
    validate_every_epochs: PositiveInt = 1
    """Epochs between validations."""
    figures_every_epochs: NonNegativeInt = 1
    """Epochs between figures in TensorBoard, and after the last one; 0: none."""
