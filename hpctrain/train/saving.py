"""Saving the state of all ranks, and finding it again at the next start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch.optim import Optimizer

from hpctrain.comm import Communicator
from hpctrain.log import logger
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.run import RunState
from hpctrain.train.snapshot import collect
from hpctrain.train.task import Position, Task


class Saver:
    """Every rank has one and calls it at the same steps; rank 0 reads and writes the files."""

    def __init__(self, folder: CheckpointFolder, comm: Communicator, state: RunState) -> None:
        self.folder, self._comm, self._state = folder, comm, state
        self.saved_step = 0
        """`global_step` of the newest checkpoint."""

    def find(self) -> dict[str, Any] | None:
        """The newest checkpoint that is whole, the same on all ranks; None at a fresh start."""
        found = self.folder.load_newest() if self._comm.rank == 0 else None
        name = self._comm.broadcast_object(found[0] if found else None)
        if name is None:
            return None
        if self._comm.rank == 0:
            logger.info("resuming from %s", name)
        return found[1] if found else self.folder.load(name)

    def save(
        self,
        task: Task,
        optimizers: Mapping[str, Optimizer],
        at: Position,
        facts: Mapping[str, Any],
    ) -> None:
        """Write a checkpoint.

        Args:
            task: its models and its own state are saved.
            optimizers: by name.
            at: names the file.
            facts: what else belongs to the run; equal on all ranks.

        Raises:
            CheckpointError: it cannot be written.
        """
        content = collect(task, optimizers, self._comm, at)
        self.saved_step = at.global_step
        if self._comm.rank != 0:
            return
        name = self.folder.save({**content, **facts}, at.epoch, at.step)
        self._state.update(**asdict(at), checkpoint=name, saved_step=at.global_step)
