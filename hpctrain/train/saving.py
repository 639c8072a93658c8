"""Saving the state of all ranks beside the training, and finding it again at the next start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from torch.optim import Optimizer

from hpctrain.comm import Communicator
from hpctrain.log import logger
from hpctrain.train.background import Background
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.hostcopy import HostCopy
from hpctrain.train.run import RunState
from hpctrain.train.snapshot import collect
from hpctrain.train.stamps import Stamps
from hpctrain.train.task import Position, Task

_TOLD_WAIT_S = 1.0
"""A save that had to wait so long for the one before it is told of, once."""
_LAST_WAIT_S = 30.0
"""How long a failing training lets a checkpoint under way be finished."""


class Saver:
    """Every rank has one and calls it at the same steps; rank 0 reads and writes the files.

    The loop pauses while the state is copied into host memory. The copy is written by a thread,
    one at a time: a second save waits for the first, because a checkpoint that was asked for must
    be there, and because there is memory for one copy.
    """

    def __init__(
        self,
        folder: CheckpointFolder,
        comm: Communicator,
        state: RunState,
        stamps: Stamps | None = None,
    ) -> None:
        self.folder, self._comm, self._state = folder, comm, state
        self._stamps = stamps or Stamps(folder.path.parent)
        self._copy, self._writer = HostCopy(), Background("writer")
        self._is_prepared = self._is_told = False
        self._judged: tuple[int, str, float, bool] | None = None
        self.saved_step = 0
        """`global_step` of the newest state that was copied; on disk after `finish`."""

    @property
    def longest_write_s(self) -> float:
        """Seconds that the longest write took."""
        return self._writer.longest_s

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the thread that copies and writes, up to now."""
        return self._writer.cpu_s

    @property
    def is_writing(self) -> bool:
        """True while a checkpoint is being written, or its end was not taken note of."""
        return self._writer.is_busy

    def find(self) -> dict[str, Any] | None:
        """The newest checkpoint that is whole, the same on all ranks; None at a fresh start."""
        self.finish()
        found = self.folder.load_newest() if self._comm.rank == 0 else None
        name = self._comm.broadcast_object(found[0] if found else None)
        if name is None:
            return None
        if self._comm.rank == 0:
            logger.info("resuming from %s", name)
        saved: dict[str, Any] = found[1] if found else self.folder.load(name)
        if self._comm.rank == 0:
            self._stamps.went_on_from(name, saved["position"]["global_step"])
        return saved

    def look(self, task: Task, optimizers: Mapping[str, Optimizer]) -> None:
        """Between steps: take note of a checkpoint that is on disk now.

        The first call, when optimizers have their state, makes memory for the copies.

        Raises:
            CheckpointError: the write under way has failed.
        """
        self._writer.look()
        self._settle()
        if not self._is_prepared and self._comm.rank == 0:
            self._is_prepared = True
            models = {name: model.state_dict() for name, model in task.models.items()}
            states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
            self._writer.start(
                partial(self._copy.prepare, {"models": models, "optimizers": states})
            )

    def save(
        self,
        task: Task,
        optimizers: Mapping[str, Optimizer],
        at: Position,
        facts: Mapping[str, Any],
    ) -> None:
        """Copy the state and begin to write it.

        Args:
            task: its models and its own state are saved.
            optimizers: by name.
            at: names the file.
            facts: what else belongs to the run; equal on all ranks.

        Raises:
            CheckpointError: the one before it could not be written.
        """
        content = collect(task, optimizers, self._comm, at)
        self.saved_step = at.global_step
        if self._comm.rank != 0:
            return
        self._wait_for_writer()
        self._state.update(**asdict(at))
        copied = self._copy.take({**content, **facts})
        self._stamps.begin(at.global_step)
        self._writer.start(partial(self._write, copied, replace(at)))

    def finish(self) -> None:
        """Return when the newest checkpoint is on disk.

        Raises:
            CheckpointError: it could not be written.
        """
        self._writer.wait()
        self._settle()

    def judge(self, epoch: int, metric: str, value: float, *, is_rising: bool = False) -> None:
        """Tell what an epoch is worth, so that the best is kept once it is on disk.

        Args:
            epoch: whose state was validated.
            metric: name of the number.
            value: what was measured.
            is_rising: the larger the better, instead of the smaller.

        Raises:
            CheckpointError: it could not be kept.
        """
        if self._comm.rank == 0:
            self._judged = epoch, metric, value, is_rising
            self._settle()

    def _settle(self) -> None:
        """Keep the best, unless its file is still being written."""
        if self._judged is None or self._writer.is_busy:
            return
        (epoch, metric, value, is_rising), self._judged = self._judged, None
        if self.folder.keep_best(epoch, metric, value, is_rising=is_rising):
            logger.info("best so far: epoch %d, %s %.4g", epoch, metric, value)

    def close(self) -> None:
        """Let what is under way be finished, after a failure; its own is no news then."""
        with suppress(Exception):
            self._writer.wait(_LAST_WAIT_S)

    def _write(self, content: dict[str, Any], at: Position) -> Callable[[], None]:
        """In the thread: write, and say what state.json may say then."""
        name = digest = ""
        try:
            self._copy.wait()
            stamp = self._stamps.checkpoint(at)
            name, digest = self.folder.save(content, at.epoch, at.step, stamp)
        finally:
            self._stamps.end(at.global_step, name, digest)
        return partial(self._state.update, checkpoint=name, saved_step=at.global_step)

    def _wait_for_writer(self) -> None:
        begin = time.perf_counter()
        self._writer.wait()
        self._settle()  # before the next save takes the judged file away
        waited = time.perf_counter() - begin
        if waited > _TOLD_WAIT_S and not self._is_told:
            self._is_told = True
            logger.warning(
                "a checkpoint had to wait %.1f s until the one before it was written, which takes "
                "%.1f s here; raise train.checkpoints.every_steps",
                waited,
                self.longest_write_s,
            )
