"""One pass over the validation samples, shared out among the ranks."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from hpctrain.comm import Communicator
from hpctrain.config.training import Training
from hpctrain.data.loader import read_batch
from hpctrain.train.task import Data, Task


def validate(
    task: Task, data: Data, settings: Training, comm: Communicator, autocast: Any
) -> tuple[dict[str, float], dict[str, Any]]:
    """Run the task's validation step over all samples and join the sums of all ranks.

    Every sample is seen once, whatever the number of ranks.

    Returns:
        The task's scalars and its documents for eval/; equal on all ranks.
    """
    own = range(comm.rank, len(data.validation), comm.world_size)
    size = max(1, settings.global_batch_size // comm.world_size // settings.accumulate)
    sums: dict[str, Tensor] = {}
    with torch.no_grad(), autocast() if autocast else nullcontext():
        for begin in range(0, len(own), size):
            batch = read_batch(data.validation, own[begin : begin + size], 0, comm.device)
            for key, value in task.validation_step(batch).items():
                sums[key] = sums[key] + value if key in sums else value
    result = task.validation_result(_join(sums, comm))
    return result.scalars, result.files


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
