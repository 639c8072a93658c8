"""Learning rate as a function of the step number."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch.optim import Optimizer

from hpctrain.config.training import Schedule


def factor(schedule: Schedule, step: int, total_steps: int) -> float:
    """Share of the full rate at `step`.

    Args:
        schedule: shape, warm-up and last value.
        step: number of the step that is about to run, from 0.
        total_steps: steps of the whole run.
    """
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    if schedule.kind == "constant":
        return 1.0
    span = max(1, total_steps - schedule.warmup_steps)
    progress = min(1.0, (step - schedule.warmup_steps) / span)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return schedule.final_factor + (1 - schedule.final_factor) * cosine


class LearningRates:
    """Sets the rates of all optimizers before each step."""

    def __init__(
        self, schedule: Schedule, optimizers: Mapping[str, Optimizer], total_steps: int
    ) -> None:
        self.schedule, self.optimizers, self.total_steps = schedule, optimizers, total_steps
        self._full = {
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in optimizers.items()
        }

    def set(self, step: int) -> None:
        """Set the rates of the step that is about to run."""
        share = factor(self.schedule, step, self.total_steps)
        for name, optimizer in self.optimizers.items():
            for group, full in zip(optimizer.param_groups, self._full[name], strict=True):
                group["lr"] = full * share

    def now(self) -> dict[str, float]:
        """First rate of each optimizer."""
        return {name: float(o.param_groups[0]["lr"]) for name, o in self.optimizers.items()}
