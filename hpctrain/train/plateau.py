"""A rate that falls when a metric has stopped getting better; its state is part of a checkpoint.

The rule of "reduce on plateau" as torch.optim.lr_scheduler.ReduceLROnPlateau has it with a relative
threshold and no cool-down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from hpctrain.comm import Communicator
from hpctrain.config.schedule import Plateau
from hpctrain.errors import ConfigError
from hpctrain.log import logger


@dataclass
class PlateauState:
    """What the rule remembers."""

    factor: float = 1.0
    best: float = math.inf
    num_bad: int = 0

    def observe(self, value: float, rule: Plateau) -> None:
        """Take in one value of the metric."""
        value = value if rule.mode == "min" else -value
        margin = rule.threshold * abs(self.best) if math.isfinite(self.best) else 0.0
        if value < self.best - margin:
            self.best, self.num_bad = value, 0
        else:
            self.num_bad += 1
        if self.num_bad > rule.patience:
            self.factor, self.num_bad = max(self.factor * rule.factor, rule.min_factor), 0


class EpochMean:
    """Mean of one training loss over an epoch, exact over stops and ranks.

    Sums are kept for each rank in float64, so that a resume on the same number of ranks adds up
    the same numbers in the same order.
    """

    def __init__(self, name: str, comm: Communicator) -> None:
        self._name, self._comm = name, comm
        self._sum: float | Tensor = 0.0
        self._weight = 0.0

    def add(self, losses: Mapping[str, Tensor], weight: float) -> None:
        """Count one step; see `Meter.add`."""
        if self._name in losses:
            self._sum = self._sum + losses[self._name].double() * weight
            self._weight += weight

    def take(self) -> float | None:
        """The mean over steps and ranks, None if there is none; starts anew."""
        parts = self.state()
        self._sum, self._weight = 0.0, 0.0
        weight = sum(w for _, w in parts) / len(parts)
        return sum(s for s, _ in parts) / len(parts) / weight if weight else None

    def state(self) -> list[list[float]]:
        """Sum and weight of each rank; all ranks must call."""
        return self._comm.allgather_object([float(self._sum), self._weight])

    def restore(self, parts: list[list[float]]) -> None:
        """Go on from what `state` returned, perhaps on another number of ranks."""
        ranks = self._comm.world_size
        if ranks == len(parts):
            self._sum, self._weight = parts[self._comm.rank]
        else:
            # a mean over ranks of sums: each rank takes the mean of what there was
            self._sum = sum(s for s, _ in parts) / len(parts)
            self._weight = sum(w for _, w in parts) / len(parts)


class PlateauRule:
    """Watches the metric of a schedule of kind plateau."""

    def __init__(self, rule: Plateau, comm: Communicator) -> None:
        self.rule = rule
        self.state = PlateauState()
        source, _, name = rule.metric.partition("/")
        self.is_validation = source == "validation"
        self._name = name if self.is_validation else name.removeprefix("loss/")
        self._mean = EpochMean(self._name, comm)

    def step(self, losses: Mapping[str, Tensor], weight: float) -> None:
        """Count one training step."""
        if not self.is_validation:
            self._mean.add(losses, weight)

    def end_epoch(self) -> None:
        """An epoch is over."""
        if self.is_validation:
            return
        mean = self._mean.take()
        if mean is None:
            logger.warning("%s had no value in this epoch; the rate stays", self.rule.metric)
        else:
            self.state.observe(mean, self.rule)

    def validated(self, scalars: Mapping[str, float]) -> None:
        """A validation is over."""
        if not self.is_validation:
            return
        if self._name not in scalars:
            known = ", ".join(f"validation/{name}" for name in sorted(scalars))
            raise ConfigError(
                f"train.schedule.plateau.metric: there is no {self.rule.metric!r}; "
                f"choose from {known}"
            )
        self.state.observe(scalars[self._name], self.rule)

    def save(self) -> dict[str, Any]:
        """State for a checkpoint; all ranks must call."""
        return {**asdict(self.state), "mean": self._mean.state()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Put back what `save` returned."""
        values = dict(saved)
        self._mean.restore(values.pop("mean"))
        self.state = PlateauState(**values)
