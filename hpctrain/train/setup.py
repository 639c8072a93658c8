"""Choices made once at the start of a run."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.comm import Communicator, Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.data_block import DataBlock
from hpctrain.config.training import Training
from hpctrain.data import BatchLoader
from hpctrain.data.reading import Reading, Samples, choose_reading
from hpctrain.data.sampler import Sampler, Share, share, stream
from hpctrain.errors import ConfigError, TrainError
from hpctrain.log import logger
from hpctrain.train.layout import is_of_layout, surely_bears_channels_last
from hpctrain.train.order import with_page_cache
from hpctrain.train.precision import Precision, candidates, probe, try_out
from hpctrain.train.task import Data, Position, Task
from hpctrain.train.update import LossFunction, Update

_CPU_PROBE_SAMPLES = 2
"""One sample fills a CPU's cores, so a few say which precision is faster; a GPU wants all."""


def set_determinism(settings: Training) -> None:
    """Only algorithms that repeat bit for bit, if asked for; else the fastest ones."""
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA >= 10.2 needs it
        # which gradients share a message depends on the moment, and with it the order of sums
        os.environ.setdefault("HOROVOD_FUSION_THRESHOLD", "0")
        # the next line imports a part of torch's compiler, which must not meet the import of
        # the whole in another thread
        import_module("torch._dynamo")
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = not settings.deterministic


def choose_precision(task: Task, settings: Training, comm: Communicator, data: Data) -> Precision:
    """The precision asked for, or the one a probe on rank 0 finds; the same on all ranks.

    Raises:
        ConfigError: a network does not work in the memory layout asked for.
        RuntimeError: the training step's own, where it fails in every precision.
        TrainError: none of those tried works on all ranks.
    """
    choices = candidates(settings)
    is_sure = choices[0].memory_format == "contiguous" or all(
        surely_bears_channels_last(model) for model in task.models.values()
    )
    if len(choices) == 1 and is_sure:
        return choices[0]
    size = settings.global_batch_size // comm.world_size // settings.accumulate
    if comm.device.type == "cpu":
        size = min(size, _CPU_PROBE_SAMPLES)
    shares = iter([Share(0, 0, tuple(range(size)), size)])
    with BatchLoader(data.train, shares, workers=0, device=comm.device) as loader:
        batch = next(loader)

    def run_step(precision: Precision) -> None:
        _trial_step(task, batch, comm, precision)

    if len(choices) == 1:
        return _in_a_layout_that_works(run_step, comm, choices[0], settings)
    chosen = probe(run_step, comm.device, _workable(run_step, comm, choices, settings))
    return Precision(**comm.broadcast_object(asdict(chosen)))


def agree_on_reading(
    data: DataBlock, dataset: Samples, sampler: Sampler, at: Position, comm: Communicator
) -> Reading:
    """How all ranks read samples: what is asked for, or the most that any of them has chosen.

    Ranks measure at the same time, so that a disk or core that they share is as busy as it will be.
    """
    batch = sampler.batch(at.epoch, at.step)
    later = (sampler.batch(at.epoch, s) for s in range(at.step, sampler.batches_per_epoch))
    own = choose_reading(
        dataset,
        (i for ids in later for i in share(ids, comm.rank, comm.world_size)),
        cores_of_rank(comm.ranks.local_size),
        len(share(batch, comm.rank, comm.world_size)),
        None if data.workers == "auto" else data.workers,
        None if data.prefetch_batches == "auto" else data.prefetch_batches,
    )
    found = comm.allgather_object((own.workers, own.prefetch_batches, own.reason))
    chosen = Reading(*max(found, key=lambda reading: reading[:2]))
    if comm.rank == 0:
        logger.info(
            "data is read by %d thread%s, %d batches ahead (%s)",
            chosen.workers,
            "s" * (chosen.workers != 1),
            chosen.prefetch_batches,
            chosen.reason,
        )
    return chosen


def cores_of_rank(local_size: int) -> int:
    """Cores for one rank: its threads of arithmetic at least, or its part of those it may use."""
    return max(torch.get_num_threads(), len(os.sched_getaffinity(0)) // local_size)


def _in_a_layout_that_works(
    run_step: Callable[[Precision], None],
    comm: Communicator,
    choice: Precision,
    settings: Training,
) -> Precision:
    """The choice, or the same without channels last, where these fail and were not asked for."""
    errors = try_out(run_step, comm.device, [choice])
    told = comm.allgather_object([_first_line(e) for e in errors.values()])
    failures = [why for own in told for why in own]
    if not failures:
        return choice
    if settings.memory_format == "auto":
        if comm.rank == 0:
            logger.info("precision %s is left out: %s", choice, failures[0])
        return replace(choice, memory_format="contiguous")
    _check_layout(settings, failures)
    return choice  # the training tells in its own words


def _check_layout(settings: Training, failures: Iterable[str]) -> None:
    found = [why for why in failures if is_of_layout(why)]
    if found and settings.memory_format == "channels_last":
        raise ConfigError(
            "train.memory_format: a network does not work with channels_last, as it takes a view "
            f"of a field ({found[0]}); set it to contiguous, or let the network use reshape"
        )


def _workable(
    run_step: Callable[[Precision], None],
    comm: Communicator,
    choices: Sequence[Precision],
    settings: Training,
) -> list[Precision]:
    """Those that work on all ranks, which so agree on them."""
    errors = try_out(run_step, comm.device, choices)
    told = comm.allgather_object({str(c): _first_line(e) for c, e in errors.items()})
    failed = {name: why for own in reversed(told) for name, why in own.items()}
    left = [choice for choice in choices if str(choice) not in failed]
    if not left:
        _check_layout(settings, failed.values())
    if not left and len(errors) == len(choices):
        raise errors[choices[0]]
    if not left:
        ranks = [f"rank {i}: {', '.join(own.values())}" for i, own in enumerate(told) if own]
        raise TrainError(
            f"train.precision: auto: no precision works on all ranks ({'; '.join(ranks)}); set "
            "train.precision, or let a rank have fewer samples"
        )
    if comm.rank == 0:
        for name, why in failed.items():
            logger.info("precision %s is left out: %s", name, why)
    return left


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _trial_step(task: Task, batch: object, comm: Communicator, precision: Precision) -> None:
    """Losses and gradients of one training step on copies of the models; no rank sees them."""
    models = task.models
    task.models = copy.deepcopy(models)
    try:
        precision.apply_layout(task.models)
        # The last epoch, when no network is only pre-trained; step 1, because step 0 may hold a
        # lazy penalty that most steps do not have.
        at = Position(epoch=task.job.train.epochs - 1, step=1, global_step=1)
        task.training_step(batch, _Trial(comm, precision), at)
    finally:
        task.models = models


class _Trial(Update):
    """Computes losses and gradients, and steps nothing."""

    def __init__(self, comm: Communicator, precision: Precision) -> None:
        alone = SingleCommunicator(Ranks(0, 1, 0, 1, comm.ranks.host), comm.device)
        super().__init__(alone, {}, autocast=precision.autocast(comm.device))

    def __call__(
        self,
        name: str,
        loss_function: LossFunction,
        micro_batches: Sequence[Any],
        *,
        frozen: Sequence[nn.Parameter] = (),
    ) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for micro_batch in micro_batches:
            self._backward(name, loss_function, micro_batch, 1.0, sums)
        return sums


def open_loader(
    samples: Any,
    sampler: Sampler,
    at: Position,
    epochs: int,
    reading: Reading,
    comm: Communicator,
) -> BatchLoader:
    """This rank's batches from a position to the last epoch."""
    shares = stream(
        sampler, comm.rank, comm.world_size, epoch=at.epoch, step=at.step, epochs=epochs
    )
    shares, after = with_page_cache(sampler, samples, shares, comm)
    workers, ahead = reading.workers, reading.prefetch_batches
    return BatchLoader(samples, shares, workers, ahead, comm.device, after)
