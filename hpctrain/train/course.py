"""The stages of a training: which samples it takes, in which order, in which epochs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hpctrain.config.job import Job
from hpctrain.data.sampler import GlobalSampler
from hpctrain.errors import ConfigError
from hpctrain.train.order import make_sampler
from hpctrain.train.task import Data, Position


@dataclass(frozen=True)
class Leg:
    """Epochs in a row on samples of one size."""

    samples: Any
    sampler: GlobalSampler
    first: int
    """First epoch."""
    stop: int
    """One past the last epoch."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps of each of its epochs."""
        return self.sampler.batches_per_epoch

    @property
    def num_cells(self) -> int:
        """Cells of a sample, to which the time of a step is about proportional."""
        return math.prod(self.samples.target_shape)


class Course:
    """All legs of a training; a function of the job and its samples, so that any can be resumed."""

    def __init__(self, job: Job, data: Data) -> None:
        """Set up the order of all legs.

        Raises:
            ConfigError: a leg with fewer samples than one batch, or a task without such stages.
        """
        if len(data.earlier) != len(job.data.crop_stages):
            raise ConfigError(
                f"data.crop_stages: task {job.train.task} makes no samples of other sizes; leave "
                "it out"
            )
        self.legs: list[Leg] = []
        first = 0
        for epochs, samples in (*data.earlier, (None, data.train)):
            stop = job.train.epochs if epochs is None else first + epochs
            self.legs.append(Leg(samples, make_sampler(job, samples), first, stop))
            first = stop

    def leg(self, epoch: int) -> Leg:
        """That of an epoch; behind the last epoch the last one."""
        return next((leg for leg in self.legs if epoch < leg.stop), self.legs[-1])

    def left(self, epoch: int) -> Iterator[Leg]:
        """That of an epoch and those after it; none behind the last epoch."""
        return (leg for leg in self.legs if epoch < leg.stop)

    def steps_in(self, epoch: int) -> int:
        """Steps of one epoch."""
        return self.leg(epoch).steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Steps of all epochs."""
        return sum((leg.stop - leg.first) * leg.steps_per_epoch for leg in self.legs)

    def facts(self) -> dict[str, Any]:
        """For state.json: steps of the last epochs, and of earlier stages if there are such."""
        facts: dict[str, Any] = {"steps_per_epoch": self.legs[-1].steps_per_epoch}
        if len(self.legs) > 1:
            facts["stages"] = [
                {
                    "first_epoch": leg.first,
                    "steps_per_epoch": leg.steps_per_epoch,
                    "crop": list(leg.samples.fields.crop),
                }
                for leg in self.legs
            ]
        return facts

    def steps_left(self, at: Position) -> float:
        """What is left, in steps as they are now: those of larger samples count for more."""
        now = self.leg(at.epoch)
        left = -float(at.step)
        for leg in self.left(at.epoch):
            steps = (leg.stop - max(leg.first, at.epoch)) * leg.steps_per_epoch
            left += steps if leg is now else steps * leg.num_cells / now.num_cells
        return max(0.0, left)
