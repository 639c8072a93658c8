"""The block `train.schedule`: learning rate by step."""

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

from hpctrain.config.schema import Schema


class Plateau(Schema):
    """Lower the rate when a metric has stopped getting better."""

    metric: str = Field(pattern=r"^(train/loss|validation)/.+")
    """Name as in TensorBoard: train/loss/NAME, its mean over an epoch, or validation/NAME."""
    mode: Literal["min", "max"] = "min"
    """Whether lower or higher is better, as of validation/f05."""
    factor: PositiveFloat = Field(default=0.1, lt=1)
    """Each time the rate is multiplied by this."""
    patience: NonNegativeInt = 10
    """Values in a row that may be no better; the one after them lowers the rate."""
    threshold: NonNegativeFloat = 1e-4
    """What counts as better: by more than this share of the best value so far."""
    min_factor: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Lowest rate as a share of the first."""


class Schedule(Schema):
    """Learning rate by step; it belongs to the run and is stored in every checkpoint."""

    kind: Literal["constant", "cosine", "step", "plateau"] = "constant"
    """Shape after warm-up."""
    warmup_steps: NonNegativeInt = 0
    """Steps of linear rise from 0."""
    final_factor: float = Field(default=0.0, ge=0.0, le=1.0)
    """Cosine: last rate as a share of the first."""
    final_weight_decay: PositiveFloat | None = None
    """Weight decay at the end, by step on a cosine from the optimizer's own, such as DINO's 0.04 to
    0.4; null: constant."""
    milestones: list[PositiveInt] = []
    """Step: numbers of steps after each of which the rate is multiplied by gamma."""
    gamma: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Step: factor at each milestone."""
    plateau: Plateau | None = None
    """Plateau: which metric, and what happens when it gets no better."""

    @model_validator(mode="after")
    def _fits(self) -> Schedule:
        for name, kind in _BELONGS.items():
            default = type(self).model_fields[name].default
            if self.kind != kind and getattr(self, name) != default:
                shown = "null" if default is None else default
                raise ValueError(
                    f"{name} has no effect with kind: {self.kind}; remove it or put {shown}, or "
                    f"set kind: {kind}"
                )
        if self.kind == "plateau" and self.plateau is None:
            raise ValueError(
                "kind: plateau lacks a block plateau; add it with a metric, such as "
                "plateau: {metric: train/loss/generator}"
            )
        if self.kind == "step" and not self.milestones:
            raise ValueError("kind: step lacks milestones; add them, such as [1000, 2000]")
        if sorted(set(self.milestones)) != self.milestones:
            raise ValueError(f"milestones {self.milestones} do not rise; put them in order")
        return self


_BELONGS = {
    "final_factor": "cosine",
    "milestones": "step",
    "gamma": "step",
    "plateau": "plateau",
}
"""Fields that only one kind takes."""
