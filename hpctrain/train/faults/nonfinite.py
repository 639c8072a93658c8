"""What is done about a step whose loss or gradient is no number: stop, skip it, or go back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from hpctrain.comm import Communicator
from hpctrain.config.non_finite import NonFinite
from hpctrain.errors import NonFiniteLossError
from hpctrain.train.task import Data, Position, Task
from hpctrain.train.update import NonFiniteStepError, Update


class GoBackError(Exception):
    """All ranks go back to the newest checkpoint."""


def with_returns(run: Callable[[], bool], go_back: Callable[[], None]) -> bool:
    """Call `run` until it comes to its end, and `go_back` in between."""
    while True:
        try:
            return run()
        except GoBackError:
            go_back()


@dataclass
class Counts:
    """What happened so far; part of every checkpoint."""

    skipped: int = 0
    """Steps left out since the start."""
    epoch: int = 0
    skipped_in_epoch: int = 0
    returns: int = 0
    """How often the run went back."""
    rate_factor: float = 1.0
    """All learning rates are multiplied by it."""


class Remedy:
    """Carries out `train.non_finite`.

    That a step is bad is seen by all ranks alike, in the reduced gradient; see `Update`.
    """

    def __init__(self, settings: NonFinite, comm: Communicator, data: Data) -> None:
        self._settings, self._comm, self._data = settings, comm, data
        self.counts = Counts()
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self.text = ""
        """What was bad last, in words."""
        self.left_out = ""
        """What was not done for it; updates before it on the same batch stay."""

    @property
    def is_on(self) -> bool:
        """True if a bad step does not end the training."""
        return self._settings.policy != "stop"

    def step(
        self, task: Task, batch: Any, update: Update, at: Position
    ) -> dict[str, Tensor] | None:
        """The task's training step; None where it was left out, on all ranks alike.

        Raises:
            GoBackError: the trainer shall go back.
            NonFiniteLossError: there were too many bad steps already.
        """
        if self._settings.policy == "skip":
            self._keep_buffers(task)
        try:
            return task.training_step(batch, update, at)
        except NonFiniteStepError as bad:
            self._answer(bad, at, batch)
        return None

    def save(self) -> dict[str, Any]:
        """For the checkpoint."""
        return asdict(self.counts)

    def restore(self, saved: Mapping[str, Any] | None) -> None:
        """Put back what `save` returned; a return to an older checkpoint is not forgotten by it."""
        if saved and saved["returns"] >= self.counts.returns:
            self.counts = Counts(**saved)

    def _keep_buffers(self, task: Task) -> None:
        """What a forward pass changes, such as running means."""
        if not self._buffers:
            buffers = [b for model in task.models.values() for b in model.buffers()]
            self._buffers = [(b, torch.empty_like(b)) for b in buffers]
        for buffer, kept in self._buffers:
            kept.copy_(buffer)

    def _answer(self, bad: NonFiniteStepError, at: Position, batch: Any) -> None:
        self.text = self._words(bad, at, batch)
        self.left_out = f"the step of {bad.name}, and what would have followed it, was left out"
        if self._settings.policy == "back":
            self._count_return()
            raise GoBackError
        self._count_skip(at)
        for buffer, kept in self._buffers:
            buffer.copy_(kept)

    def _count_skip(self, at: Position) -> None:
        counts = self.counts
        if counts.epoch != at.epoch:
            counts.epoch, counts.skipped_in_epoch = at.epoch, 0
        counts.skipped += 1
        counts.skipped_in_epoch += 1
        most = self._settings.max_skips
        if counts.skipped_in_epoch > most:
            raise NonFiniteLossError(
                f"{self.text}; {most} steps of this epoch were skipped already, as many as "
                f"train.non_finite.max_skips allows; {self.left_out}"
            )

    def _count_return(self) -> None:
        counts, settings = self.counts, self._settings
        if counts.returns >= settings.max_returns:
            raise NonFiniteLossError(
                f"{self.text}; the run went back {counts.returns} times already, as often as "
                f"train.non_finite.max_returns allows; {self.left_out}"
            )
        counts.returns += 1
        counts.rate_factor *= settings.rate_factor

    def _words(self, bad: NonFiniteStepError, at: Position, batch: Any) -> str:
        """Which optimizer, whose loss, which samples."""
        names = [key for key, value in bad.scalars.items() if not math.isfinite(value.item())]
        samples = [self._data.train_in(at.epoch).sample_name(i) for i in batch.ids]
        told = self._comm.allgather_object((self._comm.ranks.host, names, samples))
        guilty = [(rank, *row) for rank, row in enumerate(told) if row[1]]
        what = "loss" if guilty else "gradient"
        where = "; ".join(
            f"rank {rank} on {host}, samples {', '.join(s)}"
            for rank, host, _, s in guilty or [(r, *row) for r, row in enumerate(told)]
        )
        return (
            f"epoch {at.epoch + 1}, step {at.step + 1}: the {what} of {bad.name} is not a finite "
            f"number ({where})"
        )
