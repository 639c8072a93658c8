"""What a checkpoint holds, and how a run is put back to where it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch.optim import Optimizer

from hpctrain.comm import Communicator
from hpctrain.errors import CheckpointError
from hpctrain.log import logger
from hpctrain.train.draws import global_states, seed_rank, set_global_states
from hpctrain.train.optimizers import OPTIONS
from hpctrain.train.task import Position, Task


def collect(
    task: Task, optimizers: Mapping[str, Optimizer], comm: Communicator, position: Position
) -> dict[str, Any]:
    """The state of the training; every rank must call, rank 0 gets all of it."""
    return {
        "position": asdict(position),
        "models": {name: model.state_dict() for name, model in task.models.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "optimizer_classes": {name: _class(optimizer) for name, optimizer in optimizers.items()},
        "random": comm.allgather_object(global_states()),
        "task": task.state(),
    }


def restore(
    saved: Mapping[str, Any], task: Task, optimizers: Mapping[str, Optimizer], comm: Communicator
) -> Position:
    """Put models, optimizers and random states back; returns the position.

    Options of the optimizers stay those of the job file, and an optimizer of another class begins
    afresh; a run in which either was changed got here only because that was allowed.

    Raises:
        CheckpointError: the networks or optimizers are not those of the checkpoint.
    """
    try:
        for name, model in task.models.items():
            model.load_state_dict(saved["models"][name])
        for name, optimizer in optimizers.items():
            _restore_optimizer(name, optimizer, saved, comm)
    except (KeyError, RuntimeError, ValueError) as e:
        first_line = str(e).splitlines()[0]
        raise CheckpointError(
            f"the checkpoint holds other networks or optimizers than the job asks for "
            f"({first_line}); put the job's train block back, or render a new run"
        ) from e
    position = Position(**saved["position"])
    if comm.rank < len(saved["random"]):
        set_global_states(saved["random"][comm.rank])
    else:
        seed_rank(task.job.train.seed, comm.rank, position.global_step)
    return position


def _restore_optimizer(
    name: str, optimizer: Optimizer, saved: Mapping[str, Any], comm: Communicator
) -> None:
    found, now = saved.get("optimizer_classes", {}).get(name), _class(optimizer)
    if found not in (None, now):
        optimizer.state.clear()
        if comm.rank == 0:
            logger.warning(
                "the checkpoint's optimizer %s is a %s, now it is a %s, whose state begins afresh",
                name,
                found,
                now,
            )
        return
    state = dict(saved["optimizers"][name])
    # All else in a group may be what the optimizer has found out, such as Prodigy's estimate d
    options = [{k: v for k, v in g.items() if k in OPTIONS} for g in optimizer.param_groups]
    groups = zip(state["param_groups"], options, strict=False)  # torch finds other numbers of them
    state["param_groups"] = [{**group, **own} for group, own in groups]
    optimizer.load_state_dict(state)
    _follow_layout(optimizer)


def _follow_layout(optimizer: Optimizer) -> None:
    """Give moments the strides of their parameters, which another memory_format may have changed.

    torch's fused kernels go over both as flat memory and would pair a weight with another's moment.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if not torch.is_tensor(value) or value.shape != parameter.shape:
                continue
            if value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _class(optimizer: Optimizer) -> str:
    return f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
