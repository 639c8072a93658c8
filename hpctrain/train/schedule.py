"""Learning rate as a function of the step number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from hpctrain.comm import Communicator
from hpctrain.config.schedule import Schedule
from hpctrain.errors import ConfigError
from hpctrain.train.plateau import PlateauRule


def factor(schedule: Schedule, step: int, total_steps: int) -> float:
    """Share of the full rate at `step`; the linear warm-up is that of Goyal et al. 2017.

    Args:
        schedule: shape, warm-up and last value.
        step: number of the step that is about to run, from 0.
        total_steps: steps of the whole run.
    """
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    if schedule.kind == "step":
        return schedule.gamma ** sum(step >= milestone for milestone in schedule.milestones)
    if schedule.kind not in ("cosine", "exponential"):
        return 1.0  # plateau's factor is no function of the step; see plateau.py
    span = max(1, total_steps - schedule.warmup_steps)
    progress = min(1.0, (step - schedule.warmup_steps) / span)
    if schedule.kind == "exponential":  # rising it is the range test of Smith 2017, section 3.3
        return float(schedule.final_factor**progress)
    # Loshchilov & Hutter 2017, equation 5, for a single cycle
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return schedule.final_factor + (1 - schedule.final_factor) * cosine


def weight_decay(first: float, last: float, step: int, total_steps: int) -> float:
    """Decay at `step`: cosine from the first to the last value (Caron et al. 2021, section 3.2)."""
    progress = min(1.0, step / max(1, total_steps))
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))


class LearningRates:
    """Sets the rates and weight decays of all optimizers before each step."""

    def __init__(
        self,
        schedule: Schedule,
        optimizers: Mapping[str, Optimizer],
        total_steps: int,
        comm: Communicator,
    ) -> None:
        self.plateau = PlateauRule(schedule.plateau, comm) if schedule.plateau else None
        self.schedule, self.optimizers, self.total_steps = schedule, optimizers, total_steps
        self.scale = 1.0
        """All rates are multiplied by it."""
        self._full = {
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in optimizers.items()
        }
        self._decays = _decays(optimizers) if schedule.final_weight_decay is not None else {}

    def set(self, step: int) -> None:
        """Set the rates of the step that is about to run."""
        last = self.schedule.final_weight_decay or 0.0
        for name, firsts in self._decays.items():
            # groups are looked up each time: a restored optimizer has others
            for group, first in zip(self.optimizers[name].param_groups, firsts, strict=True):
                if first:
                    group["weight_decay"] = weight_decay(first, last, step, self.total_steps)
        share = self.scale * factor(self.schedule, step, self.total_steps)
        if self.plateau:
            share *= self.plateau.state.factor
        for name, optimizer in self.optimizers.items():
            for group, full in zip(optimizer.param_groups, self._full[name], strict=True):
                group["lr"] = full * share

    def observe(self, losses: Mapping[str, Tensor], weight: float) -> None:
        """Take in the losses of one step; see `Meter.add`."""
        if self.plateau:
            self.plateau.step(losses, weight)

    def end_epoch(self) -> None:
        """Take in that an epoch is over; all ranks must call."""
        if self.plateau:
            self.plateau.end_epoch()

    def validated(self, scalars: Mapping[str, float]) -> None:
        """Take in the outcome of a validation; nothing where there was none."""
        if self.plateau and scalars:
            self.plateau.validated(scalars)

    @property
    def needs_validation(self) -> bool:
        """Whether a validation decides the rate, so that it belongs before the checkpoint."""
        return self.plateau is not None and self.plateau.is_validation

    def save(self) -> dict[str, Any] | None:
        """What is no function of the step, for a checkpoint; all ranks must call."""
        return self.plateau.save() if self.plateau else None

    def restore(self, saved: Mapping[str, Any] | None) -> None:
        """Put back what `save` returned; nothing where the run had another schedule."""
        if self.plateau and saved:
            self.plateau.restore(saved)

    def now(self) -> dict[str, float]:
        """First rate of each optimizer."""
        return {name: float(o.param_groups[0]["lr"]) for name, o in self.optimizers.items()}

    def decay_now(self) -> float | None:
        """Weight decay; None where it does not change."""
        groups = [
            (group, first)
            for name, firsts in self._decays.items()
            for group, first in zip(self.optimizers[name].param_groups, firsts, strict=True)
        ]
        return next((float(group["weight_decay"]) for group, first in groups if first), None)


def _decays(optimizers: Mapping[str, Optimizer]) -> dict[str, list[float]]:
    """First weight decay of each group of parameters, by optimizer; 0 where there is none.

    Raises:
        ConfigError: no group has one.
    """
    found = {
        name: [float(group.get("weight_decay") or 0.0) for group in optimizer.param_groups]
        for name, optimizer in optimizers.items()
    }
    if not any(first for firsts in found.values() for first in firsts):
        raise ConfigError(
            "train.schedule.final_weight_decay has no effect where no optimizer has a weight_decay "
            "to begin with; give one, or leave it out"
        )
    return found
