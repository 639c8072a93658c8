"""The loop: steps, epochs, validation, checkpoints, stopping; the same for every task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch

from hpctrain.comm import Communicator
from hpctrain.data import BatchLoader, GlobalSampler, stream
from hpctrain.errors import NonFiniteLossError
from hpctrain.log import logger
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.clock import Clock
from hpctrain.train.draws import seed_everything
from hpctrain.train.guard import check_schedule, schedule_facts
from hpctrain.train.metrics import Meter, Recorder
from hpctrain.train.precision import Precision
from hpctrain.train.progress import Progress
from hpctrain.train.run import Run, RunState
from hpctrain.train.schedule import LearningRates
from hpctrain.train.setup import choose_precision
from hpctrain.train.snapshot import collect, restore
from hpctrain.train.stop import StopRequest
from hpctrain.train.task import Position, Task
from hpctrain.train.update import Update
from hpctrain.train.validation import validate


class Trainer:
    """Trains a task on this rank, in step with the others.

    Args:
        run: the run directory.
        task: what is learned.
        comm: the other ranks.
        state: state.json, written by rank 0.
        is_schedule_change_allowed: resume although the schedule was changed.
    """

    def __init__(
        self,
        run: Run,
        task: Task,
        comm: Communicator,
        state: RunState,
        *,
        is_schedule_change_allowed: bool = False,
    ) -> None:
        self.run, self.task, self.comm, self.state = run, task, comm, state
        self.settings = run.job.train
        self.is_main = comm.rank == 0
        self.position = Position()
        self.checkpoints = CheckpointFolder(
            run.path / "checkpoints", self.settings.checkpoints.keep_last
        )
        seed_everything(self.settings.seed)
        saved = self._find_checkpoint()
        self.data = task.build_data(saved["task"] if saved else None, comm.broadcast_object)
        self.sampler = GlobalSampler(
            len(self.data.train), self.settings.global_batch_size, self.settings.seed
        )
        digest = run.digests().get("index", "")
        self.schedule_facts = schedule_facts(run.job, self.steps_per_epoch, digest)
        if saved:
            check_schedule(
                saved["schedule"],
                self.schedule_facts,
                is_allowed=is_schedule_change_allowed,
                step=saved["position"]["step"],
            )
        self._build(Precision(**saved["precision"]) if saved else None)
        self._saved_step = 0
        if saved:
            self.position = restore(saved, task, self.optimizers, comm)
            self._saved_step = self.position.global_step
        self.meter, self.clock = Meter(), Clock(self.settings.global_batch_size)
        self.progress = Progress(self.settings.epochs, self.steps_per_epoch)
        self.recorder: Recorder | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch; the last partial batch is left out."""
        return self.sampler.batches_per_epoch

    def fit(self) -> bool:
        """Train to the last epoch, or until asked to stop.

        Returns:
            True if the training is finished, False if it was stopped and can go on.

        Raises:
            NonFiniteLossError: a loss or parameter is not a number; nothing is saved.
            CheckpointError: a checkpoint could not be written.
        """
        stop = StopRequest(self.comm, self.run.path)
        loader = self._loader()
        is_failed = True
        try:
            if self.is_main:
                self.recorder = Recorder(self.run.path, self.position.global_step)
            is_finished = self._run(stop, loader)
            is_failed = False
            return is_finished
        finally:
            loader.close()
            stop.close()
            if self.recorder is not None:
                self.recorder.close(is_failed=is_failed)

    def _run(self, stop: StopRequest, loader: BatchLoader) -> bool:
        if self._lacks_validation():
            self._validate()
        batches = iter(loader)
        self.clock.start()
        while self.position.epoch < self.settings.epochs:
            stop.ask()
            self.clock.ask()
            batch = next(batches)
            self.clock.data_arrived()
            self._step(batch)
            self.clock.end(self.update.take_wait_s())
            is_last = self.position.step >= self.steps_per_epoch
            if self._is_due(self.settings.log_every_steps) or is_last:
                self._log()
            with self.clock.aside():
                if is_last:
                    self._end_epoch()
                elif self._is_due(self.settings.checkpoints.every_steps):
                    self._save()
            stop.needs(3 * self.clock.longest_step_s + 2 * self.clock.longest_aside_s)
            if stop.agreed() and self.position.epoch < self.settings.epochs:
                self._leave(stop.reason)
                return False
        return True

    def _leave(self, reason: str) -> None:
        """Save what is not saved yet."""
        if self._saved_step != self.position.global_step:
            self._log()
            self._save()
        self.progress.end_line()
        if self.is_main:
            self.state.fields["stop_reason"] = reason
        self._say("stopped by %s", reason)

    def _step(self, batch: Any) -> None:
        self.rates.set(self.position.global_step)
        losses = self.task.training_step(batch, self.update, replace(self.position))
        if self.comm.device.type == "cpu":
            self._check_finite(losses, batch)
        self.meter.add(losses)
        self.position.step += 1
        self.position.global_step += 1
        if self.position.global_step == 1:
            self._say("first step done")

    def _is_due(self, every: int | None) -> bool:
        return bool(every) and self.position.step % (every or 1) == 0

    def _log(self) -> None:
        losses = self.meter.take(self.comm)
        self._check_finite(losses, None)
        if not losses or self.recorder is None:
            return
        at, speed = self.position, self.clock.take()
        left = self.settings.epochs * self.steps_per_epoch - at.global_step
        eta_s = left * self.clock.recent_step_s
        self.recorder.scalars(
            "train",
            at.epoch,
            at.global_step,
            {
                **{f"loss/{key}": value for key, value in losses.items()},
                **{f"learning_rate/{key}": value for key, value in self.rates.now().items()},
                **speed,
            },
        )
        shown = {key: value for key, value in losses.items() if key in self.optimizers} or losses
        self.progress.show(at.epoch, at.step, shown, speed["samples_per_s"], eta_s)
        self.state.update(
            at_most_every_s=1.0,
            **asdict(at),
            loss=losses,
            samples_per_s=round(speed["samples_per_s"], 2),
            eta_s=round(eta_s, 1),
        )

    def _end_epoch(self) -> None:
        """Save first: validation and figures can be made again, steps cannot."""
        self.position = Position(self.position.epoch + 1, 0, self.position.global_step)
        if self._is_epoch_due(self.settings.checkpoints.every_epochs):
            self._save()
        self._validate()

    def _validate(self) -> None:
        """Validation and figures, where they are due after this epoch."""
        if self._is_epoch_due(self.settings.validate_every_epochs):
            result = validate(self.task, self.data, self.run.job, self.comm, self.update)
            self._record_validation(*result)
        figures_every = self.settings.figures_every_epochs
        if self.recorder and figures_every and self._is_epoch_due(figures_every):
            for name, draw in self.task.figures(self.position.epoch):
                self.recorder.figure(name, self.position.epoch, self.position.global_step, draw)

    def _lacks_validation(self) -> bool:
        """True if an earlier start was killed between an epoch's checkpoint and its validation."""
        at = self.position
        if at.step or not at.epoch or not self._is_epoch_due(self.settings.validate_every_epochs):
            return False
        return bool(self.comm.broadcast_object(self.run.validated_epoch() < at.epoch))

    def _is_epoch_due(self, every: int) -> bool:
        is_last = self.position.epoch == self.settings.epochs
        return is_last or self.position.epoch % every == 0

    def _record_validation(self, scalars: dict[str, float], files: dict[str, Any]) -> None:
        if self.recorder is None:
            return
        at = self.position
        self.recorder.scalars("validation", at.epoch, at.global_step, scalars)
        facts = {
            "epoch": at.epoch,
            "step": at.global_step,
            "samples_per_s": round(self.clock.mean_samples_per_s, 3),
        }
        self.run.write_eval({name: {**facts, **content} for name, content in files.items()})
        numbers = "  ".join(f"{key} {value:.4g}" for key, value in scalars.items())
        self._say("validation after epoch %d: %s", at.epoch, numbers)

    def _check_finite(self, losses: Mapping[str, torch.Tensor | float], batch: Any) -> None:
        bad = [key for key, value in losses.items() if not _is_finite(value)]
        if not bad:
            return
        names = [self.data.train.sample_name(i) for i in batch.ids] if batch else []
        where = f"; samples of the batch: {', '.join(names)}" if names else ""
        kept = self.checkpoints.names()
        raise NonFiniteLossError(
            f"epoch {self.position.epoch + 1}, step {self.position.step + 1}: "
            f"{', '.join(bad)} is not a finite number{where}; nothing was saved, "
            f"the newest checkpoint is {kept[-1] if kept else 'none'}; "
            "lower the learning rate, clip gradients, or set precision: float32"
        )

    def _find_checkpoint(self) -> dict[str, Any] | None:
        found = self.checkpoints.load_newest() if self.is_main else None
        name = self.comm.broadcast_object(found[0] if found else None)
        if name is None:
            return None
        self._say("resuming from %s", name)
        return found[1] if found else self.checkpoints.load(name)

    def _build(self, precision: Precision | None) -> None:
        models = self.task.build_models()
        for model in models.values():
            model.to(self.comm.device)
        self.task.models = models
        asked = self.settings.precision
        if precision is None or asked not in ("auto", precision.name):
            precision = choose_precision(self.task, self.settings, self.comm, self.data)
        self.precision = precision
        self._say("precision %s (%s)", precision.name, precision.reason)
        self.comm.broadcast(
            t.data for m in models.values() for t in (*m.parameters(), *m.buffers())
        )
        precision.apply_layout(models)
        self.optimizers = self.task.build_optimizers(models)
        self._autocast = precision.autocast(self.comm.device)
        self.update = Update(
            self.comm,
            self.optimizers,
            accumulate=self.settings.accumulate,
            clip_grad_norm=self.settings.clip_grad_norm,
            autocast=self._autocast,
        )
        total_steps = self.settings.epochs * self.steps_per_epoch
        self.rates = LearningRates(self.settings.schedule, self.optimizers, total_steps)

    def _loader(self) -> BatchLoader:
        shares = stream(
            self.sampler,
            self.comm.rank,
            self.comm.world_size,
            epoch=self.position.epoch,
            step=self.position.step,
            epochs=self.settings.epochs,
        )
        data = self.run.job.data
        return BatchLoader(
            self.data.train, shares, data.workers, data.prefetch_batches, self.comm.device
        )

    def _save(self) -> None:
        content = collect(self.task, self.optimizers, self.comm, self.position)
        self._saved_step = self.position.global_step
        if not self.is_main:
            return
        self._check_parameters()
        content["schedule"] = self.schedule_facts
        content["precision"] = asdict(self.precision)
        name = self.checkpoints.save(content, self.position.epoch, self.position.step)
        at = asdict(self.position)
        self.state.update(**at, checkpoint=name, saved_step=self.position.global_step)

    def _check_parameters(self) -> None:
        for name, model in self.task.models.items():
            for key, value in model.named_parameters():
                self._check_finite({f"parameter {name}.{key}": value.detach()}, None)

    def _say(self, message: str, *values: object) -> None:
        if self.is_main:
            logger.info(message, *values)


def _is_finite(value: torch.Tensor | float) -> bool:
    if isinstance(value, torch.Tensor):
        # a scalar is looked at in Python, a fifth of the time of a tensor operation
        return math.isfinite(value.item()) if value.ndim == 0 else bool(value.isfinite().all())
    return math.isfinite(value)
