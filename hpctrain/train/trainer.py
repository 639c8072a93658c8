"""The loop: steps, epochs, validation, checkpoints, stopping; the same for every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hpctrain.comm import Communicator
from hpctrain.data import BatchLoader
from hpctrain.data.reading import Reading
from hpctrain.train.build import build
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.clock import Clock
from hpctrain.train.course import Course, Leg
from hpctrain.train.draws import seed_everything, seed_rank
from hpctrain.train.faults.datafiles import DataFiles
from hpctrain.train.faults.finite import FiniteCheck
from hpctrain.train.faults.nonfinite import with_returns
from hpctrain.train.faults.stages import Stages
from hpctrain.train.guard import check_schedule, schedule_facts
from hpctrain.train.metrics import Meter
from hpctrain.train.modes import evaluating
from hpctrain.train.profiling import Profiler
from hpctrain.train.reporting import Reporter, judged_value
from hpctrain.train.run import Run, RunState
from hpctrain.train.saving import Saver
from hpctrain.train.schedule_change import ScheduleChange
from hpctrain.train.setup import agree_on_reading, open_loader
from hpctrain.train.snapshot import restore
from hpctrain.train.stop import StopRequest
from hpctrain.train.task import Position, Task
from hpctrain.train.validation import validate


class Trainer:
    """Trains a task on this rank, in step with the others.

    Args:
        run: the run directory.
        task: what is learned.
        comm: the other ranks.
        state: state.json, written by rank 0.
        is_schedule_change_allowed: resume although the schedule was changed.
        stages: told what the loop is doing.
    """

    def __init__(
        self,
        run: Run,
        task: Task,
        comm: Communicator,
        state: RunState,
        *,
        is_schedule_change_allowed: bool = False,
        stages: Stages | None = None,
    ) -> None:
        self.run, self.task, self.comm = run, task, comm
        self.stages = stages or Stages()
        self.settings = run.job.train
        self.position = Position()
        kept = self.settings.checkpoints
        folder = CheckpointFolder(run.path / "checkpoints", kept.keep_last, kept.keep_every)
        self.saver = Saver(folder, comm, state, run.stamps)
        seed_everything(self.settings.seed)
        saved = self.saver.find()
        self.data = task.build_data(saved["task"] if saved else None, comm.broadcast_object)
        self.course = Course(run.job, self.data)
        self._index_digest = run.digests().get("index", "")
        self._change: ScheduleChange | None = None
        if saved:
            facts = self._schedule_facts(saved["position"]["epoch"])
            check_schedule(
                saved["schedule"],
                facts,
                is_allowed=is_schedule_change_allowed,
                step=saved["position"]["step"],
            )
            self._change = ScheduleChange.of(saved["schedule"], facts)
        self.files = DataFiles(run.read_index, is_main=comm.rank == 0)
        self.clock = Clock(
            self.settings.global_batch_size,
            comm.device,
            beside=lambda: self.saver.cpu_s + self.files.cpu_s,
        )
        saved_precision = saved["precision"] if saved else None
        built = build(
            task, comm, self.data, self.course.total_steps, saved_precision, self.clock.mark
        )
        self.built, self.precision, self.optimizers = built, built.precision, built.optimizers
        self.update, self.rates, self.remedy = built.update, built.rates, built.remedy
        seed_rank(self.settings.seed, comm.rank)
        self.profiler = Profiler(run, comm, self.clock)
        self.position = self.profiler.first_position()
        if saved:
            self.position = restore(saved, task, self.optimizers, comm)
            built.restore(saved)
            self.saver.saved_step = self.position.global_step
        self.meter = Meter()
        self.finite = FiniteCheck(self.data, folder, self.course.steps_in)
        self.leg = self.course.leg(self.position.epoch)
        self.reading = self._agree_on_reading()
        self.reporter = Reporter(
            run, state, self.clock, self.course, self.reading, is_main=comm.rank == 0
        )

    def fit(self, stop: StopRequest | None = None) -> bool:
        """Train to the last epoch, or until asked to stop.

        Args:
            stop: where reasons to stop were heard before, too.

        Returns:
            True if the training is finished, False if it was stopped and can go on.

        Raises:
            NonFiniteLossError: a loss or parameter is not a number; nothing is saved.
            CheckpointError: a checkpoint could not be written.
        """
        stop = stop or StopRequest(self.comm, self.run.path)  # closing one twice does no harm
        self.stages.is_leaving = lambda: bool(stop.reason)
        is_failed = True
        try:
            self.reporter.open(self.position.global_step)
            if self._change:
                self.reporter.schedule_change(self.position, self._change)
            if self.settings.non_finite.policy == "back" and not self.position.global_step:
                self._save()  # to have something to go back to
            is_finished = with_returns(lambda: self._run(stop), lambda: self._go_back(stop))
            is_failed = False
            return is_finished
        finally:
            self.stages.enter("end")
            self.saver.close()
            self.profiler.close()
            stop.close()
            self.reporter.close(is_failed=is_failed)

    def _run(self, stop: StopRequest) -> bool:
        self._catch_up()
        for leg in self.course.left(self.position.epoch):
            self._begin(leg)
            left = self.position, leg.stop
            with open_loader(leg.samples, leg.sampler, *left, self.reading, self.comm) as batches:
                if not self._go_through(batches, stop):
                    return False
        self.stages.enter("aside")
        self.saver.finish()
        self.stages.enter("aside")
        self.files.finish()
        return True

    def _begin(self, leg: Leg) -> None:
        """Samples may have another size from here on."""
        if leg is not self.leg:
            self.stages.enter("data")
            self.leg = leg
            self.reading = self._agree_on_reading()
            self.reporter.reads(self.reading)
        self.reporter.stage(self.position, leg)

    def _agree_on_reading(self) -> Reading:
        own = self.leg.samples, self.leg.sampler
        return agree_on_reading(self.run.job.data, *own, self.position, self.comm)

    def _go_through(self, batches: BatchLoader, stop: StopRequest) -> bool:
        """Train to the end of this leg; False if stopped before that."""
        self.clock.start()
        while self.position.epoch < self.leg.stop:
            stop.ask()
            self.clock.mark("other")
            self.stages.enter("data")
            batch = next(batches)
            self.clock.mark("data")
            self._step(batch)
            self.clock.end(self._weight(batch))
            is_last = self.position.step >= self.leg.steps_per_epoch
            if self._is_due(self.settings.log_every_steps) or is_last:
                self._log()
            with self.clock.aside(), self.stages.during("aside"):
                if is_last:
                    self._end_epoch()
                elif self._is_due(self.settings.checkpoints.every_steps):
                    self._save()
                self.profiler.step(self.reading.workers)
            self.saver.look(self.task, self.optimizers)
            self.files.look()
            stop.needs(self.clock.needed_s(self.saver.longest_write_s))
            if stop.agreed() and self.position.epoch < self.settings.epochs:
                self._leave(stop.reason)
                return False
        return True

    def _leave(self, reason: str) -> None:
        """Save what is not saved yet."""
        self.stages.enter("aside")
        if self.saver.saved_step != self.position.global_step:
            self._log()
            self._save()
        self.stages.enter("aside")
        self.saver.finish()
        self.reporter.stopped(reason)

    def _step(self, batch: Any) -> None:
        self.rates.set(self.position.global_step)
        compiles = self.settings.compile
        self.stages.begin_step(self.position, batch.num_global, compiles=compiles)
        self.built.before_step()
        losses = self.remedy.step(self.task, batch, self.update, replace(self.position))
        if losses is not None:
            if self.comm.device.type == "cpu" and not self.remedy.is_on:
                self.finite.losses(losses, self.position, batch)
            self.meter.add(losses, self._weight(batch))
            self.built.after_step(losses, self._weight(batch))
        self.position.step += 1
        self.position.global_step += 1
        if losses is None:
            self.reporter.skipped(self.position, self.remedy)
        if self.position.global_step == 1:
            self.reporter.say("first step done")

    def _weight(self, batch: Any) -> float:
        """Size of a batch as a share of a full one."""
        return float(batch.num_global / self.settings.global_batch_size)

    def _go_back(self, stop: StopRequest) -> None:
        """Take the newest checkpoint again, and go on with the lowered rates from there."""
        self.stages.enter("aside")
        stop.agreed()  # only to end the exchange; who wants to stop says so again
        saved = self.saver.find() or {}
        self.position = restore(saved, self.task, self.optimizers, self.comm)
        self.built.restore(saved)
        self.meter = Meter()
        self.reporter.went_back(self.position, self.remedy)
        self._save()  # the lowered rate outlives a kill

    def _is_due(self, every: int | None) -> bool:
        return bool(every) and self.position.step % (every or 1) == 0

    def _log(self) -> None:
        losses = self.meter.take(self.comm)
        self.finite.means(losses, self.position)
        shown = {key: value for key, value in losses.items() if key in self.optimizers} or losses
        self.reporter.training(self.position, losses, self.built.now(), shown)
        self.reporter.watch_loss(self.position, shown)

    def _end_epoch(self) -> None:
        """Save first: validation and figures can be made again, steps cannot.

        Where a validation decides the learning rate it comes first, so that its verdict is saved.
        """
        self.position = Position(self.position.epoch + 1, 0, self.position.global_step)
        self.rates.end_epoch()
        scalars: Mapping[str, float] = {}
        if self.rates.needs_validation:
            scalars = self._validate()
            self.rates.validated(scalars)
        if self._is_epoch_due(self.settings.checkpoints.every_epochs):
            self._save()
        if not self.rates.needs_validation:
            scalars = self._validate()
        self._judge(scalars)
        self.files.check()

    def _judge(self, scalars: Mapping[str, float]) -> None:
        """Let the best checkpoint be kept, if that is asked for and this epoch was validated."""
        metric = self.settings.checkpoints.best
        value = judged_value(metric, scalars)
        if metric and value is not None:
            is_rising = metric in self.settings.rising
            self.saver.judge(self.position.epoch, metric, value, is_rising=is_rising)

    def _validate(self) -> Mapping[str, float]:
        """Validation and figures, where they are due after this epoch; returns the scalars."""
        scalars: Mapping[str, float] = {}
        with self.built.for_validation(), evaluating(self.task.models):
            if self._is_epoch_due(self.settings.validate_every_epochs):
                own = self.task, self.data, self.run.job, self.comm, self.update
                result = validate(*own, self.reading, self.stages)
                scalars = result.scalars
                self.reporter.validation(self.position, result)
            figures_every = self.settings.figures_every_epochs
            if figures_every and self._is_epoch_due(figures_every):
                self.stages.enter("aside")
                self.reporter.figures(self.position, self.task)
            elif figures_every and scalars:
                self.reporter.curves(self.position, self.task)
        return scalars

    def _catch_up(self) -> None:
        """Make what a kill took behind an epoch's checkpoint: its validation, or the verdict."""
        at = self.position
        if at.step or not at.epoch or not self._is_epoch_due(self.settings.validate_every_epochs):
            return
        epoch, known = self.comm.broadcast_object(self.run.last_validation())
        if epoch <= at.epoch:
            self._judge(self._validate() if epoch < at.epoch else known)

    def _is_epoch_due(self, every: int) -> bool:
        is_last = self.position.epoch == self.settings.epochs
        return is_last or self.position.epoch % every == 0

    def _save(self) -> None:
        self.finite.parameters(self.task.models, self.position)
        schedule = self._schedule_facts(self.position.epoch)
        facts = {"schedule": schedule, **self.built.save()}
        self.saver.save(self.task, self.optimizers, self.position, facts)

    def _schedule_facts(self, epoch: int) -> dict[str, Any]:
        return schedule_facts(self.run.job, self.course.steps_in(epoch), self._index_digest)
