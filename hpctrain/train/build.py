"""Models, optimizers and their updates, made once at the start of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

from hpctrain.comm import Communicator
from hpctrain.log import logger
from hpctrain.train.phases import Phase
from hpctrain.train.precision import Precision
from hpctrain.train.schedule import LearningRates
from hpctrain.train.setup import choose_precision
from hpctrain.train.task import Data, Task
from hpctrain.train.update import Update


@dataclass(frozen=True)
class Built:
    """What learns; the models themselves are the task's."""

    precision: Precision
    optimizers: dict[str, Optimizer]
    update: Update
    rates: LearningRates


def build(
    task: Task,
    comm: Communicator,
    data: Data,
    total_steps: int,
    saved_precision: Mapping[str, Any] | None,
    mark: Callable[[Phase], None],
) -> Built:
    """Make everything that learns, equal on all ranks.

    Args:
        task: gets its models.
        comm: the other ranks, which take rank 0's first weights.
        data: samples for the probe of precisions.
        total_steps: steps of the whole run.
        saved_precision: that of the checkpoint which the run goes on from.
        mark: told what each part of a step was.
    """
    settings = task.job.train
    models = task.build_models()
    for model in models.values():
        model.to(comm.device)
    task.models = models
    precision = Precision(**saved_precision) if saved_precision else None
    if precision is None or settings.precision not in ("auto", precision.name):
        precision = choose_precision(task, settings, comm, data)
    if comm.rank == 0:
        logger.info("precision %s (%s)", precision.name, precision.reason)
    comm.broadcast(t.data for m in models.values() for t in (*m.parameters(), *m.buffers()))
    precision.apply_layout(models)
    optimizers = task.build_optimizers(models)
    update = Update(
        comm,
        optimizers,
        accumulate=settings.accumulate,
        clip_grad_norm=settings.clip_grad_norm,
        autocast=precision.autocast(comm.device),
        mark=mark,
    )
    rates = LearningRates(settings.schedule, optimizers, total_steps, comm)
    return Built(precision, optimizers, update, rates)
