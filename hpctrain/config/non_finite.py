"""What a training does about losses and gradients that are no numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from hpctrain.config.schema import Schema


class NonFinite(Schema):
    """What is done about a step whose loss or gradient is NaN or infinite."""

    policy: Literal["stop", "skip", "back"] = "stop"
    """End the training, leave the step out, or go back to the newest checkpoint."""
    max_skips: PositiveInt = 10
    """skip: steps of one epoch that may be left out before the training ends."""
    max_returns: PositiveInt = 3
    """back: how often the run may go back before it ends."""
    rate_factor: float = Field(default=0.5, gt=0.0, lt=1.0)
    """back: all learning rates are multiplied by it, each time."""

    @model_validator(mode="after")
    def _has_effect(self) -> NonFinite:
        belongs = {"max_skips": "skip", "max_returns": "back", "rate_factor": "back"}
        for key, policy in belongs.items():
            default = type(self).model_fields[key].default
            if self.policy != policy and getattr(self, key) != default:
                raise ValueError(
                    f"{key} has no effect with policy {self.policy}; choose policy: {policy}, "
                    "or leave it out"
                )
        return self
