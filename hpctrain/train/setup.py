"""Choices made once at the start of a run."""

from __future__ import annotations

import copy
import os

import torch

from hpctrain.comm import Communicator, Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.training import Training
from hpctrain.data import BatchLoader
from hpctrain.data.sampler import Share
from hpctrain.train.precision import Precision, probe
from hpctrain.train.task import Data, Position, Task
from hpctrain.train.update import Update


def set_determinism(settings: Training) -> None:
    """Only algorithms that repeat bit for bit, if asked for; else the fastest ones."""
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA >= 10.2 needs it
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = not settings.deterministic


def choose_precision(task: Task, settings: Training, comm: Communicator, data: Data) -> Precision:
    """The precision asked for, or the one a probe on rank 0 finds; the same on all ranks."""
    if settings.precision != "auto":
        return Precision(settings.precision, "asked for")
    size = settings.global_batch_size // comm.world_size // settings.accumulate
    with BatchLoader(
        data.train, iter([Share(0, 0, tuple(range(size)))]), 0, 1, comm.device
    ) as loader:
        batch = next(loader)
    chosen = probe(lambda precision: _trial_step(task, batch, comm, precision), comm.device)
    name, reason = comm.broadcast_object((chosen.name, chosen.reason))
    return Precision(name, reason)


def _trial_step(task: Task, batch: object, comm: Communicator, precision: Precision) -> None:
    """One training step on copies of the models, seen by no other rank."""
    models = task.models
    task.models = copy.deepcopy(models)
    try:
        precision.apply_layout(task.models)
        alone = SingleCommunicator(Ranks(0, 1, 0, 1, comm.ranks.host), comm.device)
        update = Update(
            alone, task.build_optimizers(task.models), autocast=precision.autocast(comm.device)
        )
        task.training_step(batch, update, Position())
    finally:
        task.models = models
