"""What a learning problem must say of itself; see docs/explanation/two-halves.md."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from hpctrain.config.job import Job
from hpctrain.index import Index, read_index
from hpctrain.train.update import Update


@dataclass
class Position:
    """Where a run is: whole epochs done, steps done in the next one, steps done in all."""

    epoch: int = 0
    step: int = 0
    global_step: int = 0


@dataclass(frozen=True)
class Data:
    """The two parts of the samples."""

    train: Any
    """For training; where there are earlier stages, in the epochs behind them."""
    validation: Any
    earlier: Sequence[tuple[int, Any]] = ()
    """Stages of the training before: how many epochs, and their samples."""

    def train_in(self, epoch: int) -> Any:
        """The training samples of an epoch."""
        for epochs, samples in self.earlier:
            if epoch < epochs:
                return samples
            epoch -= epochs
        return self.train


@dataclass(frozen=True)
class Place:
    """What a task may know of where it runs."""

    run_dir: Path
    rank: int
    device: Any
    data_root: Path | None = None
    """Where this rank reads the data; None: where the index says."""
    origin: Path | None = None
    """Where this rank sees what was not copied there; None: where the index says."""

    def read_index(self) -> Index:
        """The index of the run; its root is where this rank is to read."""
        index = read_index(self.run_dir)
        if self.data_root is None:
            return index
        return replace(index, root=self.data_root, origin=self.origin or index.root)


@dataclass
class Validation:
    """Outcome of one pass over the validation samples."""

    scalars: dict[str, float]
    """Points for TensorBoard, metrics.jsonl and the log line."""
    files: dict[str, Any] = field(default_factory=dict)
    """JSON documents by name below eval/."""
    details: dict[str, float] = field(default_factory=dict)
    """Points for TensorBoard and metrics.jsonl alone, such as those of single variables."""
    shells: dict[str, Any] = field(default_factory=dict)
    """What is kept of every epoch by shell: a line of metrics.jsonl of kind `shells`."""


class Task(ABC):
    """One learning problem: data, models, one step, one validation step.

    A task knows no ranks and no loop. Everything random in a step is drawn from
    (seed, epoch, sample id), so that it does not depend on how samples are spread over ranks.

    The trainer calls `eval` on all networks around validation and figures, and puts each module's
    own mode back: they train in `training_step`, but for what the task has frozen.
    """

    models: dict[str, nn.Module]
    """Networks by name; set by the trainer before any step."""

    def __init__(self, job: Job, place: Place) -> None:
        self.job = job
        self.place = place

    @abstractmethod
    def build_data(self, saved: Mapping[str, Any] | None, share: Any) -> Data:
        """Open the data sets.

        Args:
            saved: what `state` returned when the run was checkpointed, or None at the start.
            share: function that gives every rank the value of rank 0, for what is measured once.
        """

    @abstractmethod
    def build_models(self) -> dict[str, nn.Module]:
        """Networks by name, on the CPU, in float32; called after `build_data`."""

    @abstractmethod
    def build_optimizers(self, models: Mapping[str, nn.Module]) -> dict[str, Optimizer]:
        """Optimizers by name; a parameter belongs to one of them at most."""

    @abstractmethod
    def training_step(self, batch: Any, update: Update, at: Position) -> dict[str, Tensor]:
        """Learn from one batch; returns scalar losses, detached."""

    @abstractmethod
    def validation_step(self, batch: Any) -> dict[str, Tensor]:
        """Float64 sums over the samples of a batch; the trainer adds them up over all ranks.

        Networks evaluate: BatchNorm takes its running means, and Dropout drops nothing. Ranks may
        have unequal numbers of batches, so that nothing may be exchanged here.
        """

    @abstractmethod
    def validation_result(self, sums: Mapping[str, Tensor]) -> Validation:
        """Turn the sums over all validation samples into numbers."""

    def compilable(self) -> Sequence[str]:
        """Networks that torch.compile may take; not those that are differentiated twice."""
        return list(self.models)

    def figures(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """Functions without arguments that draw a figure, by name; run beside the training.

        Called on rank 0 alone, while networks evaluate. What they are to show of a network is
        computed here, since it trains again when they run.
        """
        return ()

    def curves(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """The same of what a validation has measured; drawn after each, for TensorBoard alone.

        Called on rank 0 behind `validation_result`; must not compute anything large.
        """
        return ()

    def state(self) -> dict[str, Any]:
        """What the task must remember in a checkpoint beside models and optimizers."""
        return {}
