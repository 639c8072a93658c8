"""One pass over the validation samples, shared out among the ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from hpctrain.comm import Communicator
from hpctrain.config.job import Job
from hpctrain.data import BatchLoader, SequentialSampler
from hpctrain.data.reading import Reading
from hpctrain.data.sampler import stream
from hpctrain.train.faults.stages import Stages
from hpctrain.train.task import Data, Task, Validation
from hpctrain.train.update import Update


def validate(
    task: Task,
    data: Data,
    job: Job,
    comm: Communicator,
    update: Update,
    reading: Reading,
    stages: Stages,
) -> Validation:
    """Run the task's validation step over all samples and join the sums of all ranks.

    Every sample is seen once, whatever the number of ranks. Each batch is told to `stages`, so
    that only one that makes no progress is taken for a hang.

    Returns:
        The task's scalars and its documents for eval/; equal on all ranks.
    """
    # no gradients are kept, but a rank holds no more samples at a time than in training
    size = max(comm.world_size, job.train.global_batch_size // job.train.accumulate)
    shares = stream(SequentialSampler(len(data.validation), size), comm.rank, comm.world_size)
    sums: dict[str, Tensor] = {}
    workers, ahead = reading.workers, reading.prefetch_batches
    with (
        BatchLoader(data.validation, shares, workers, ahead, comm.device) as loader,
        torch.no_grad(),
    ):
        for batch in loader:
            stages.enter("aside")
            if batch.is_filler:
                continue
            with update.autocast():
                for key, value in task.validation_step(batch).items():
                    sums[key] = sums[key] + value if key in sums else value
    stages.enter("aside")
    return task.validation_result(_join(sums, comm))


def _join(sums: dict[str, Tensor], comm: Communicator) -> dict[str, Tensor]:
    """Add up over ranks; a rank without a sample takes the shapes of the others."""
    shapes = comm.allgather_object({key: tuple(value.shape) for key, value in sums.items()})
    known = {key: shape for rank in shapes for key, shape in rank.items()}
    joined = {}
    for key in sorted(known):
        value = sums.get(key, torch.zeros(known[key], dtype=torch.float64))
        value = value.to(comm.device, torch.float64)
        joined[key] = comm.allreduce(value, f"validation.{key}", "sum").cpu()
    return joined
