"""What people and programs are told of a training: lines, metrics, TensorBoard, state.json."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial

from hpctrain.config.alarms import LossAlarms
from hpctrain.data.reading import Reading
from hpctrain.log import logger
from hpctrain.train.advice import WORTH_TELLING, advise, worst
from hpctrain.train.alarms import LOSS_KINDS, Alarm, LossWatch, kinds
from hpctrain.train.clock import Clock
from hpctrain.train.course import Course, Leg
from hpctrain.train.faults.nonfinite import Remedy
from hpctrain.train.metrics import Recorder, recorded_losses
from hpctrain.train.phases import Phase
from hpctrain.train.progress import Progress
from hpctrain.train.run import Run, RunState
from hpctrain.train.schedule_change import FIGURE, ScheduleChange
from hpctrain.train.task import Position, Task, Validation


def judged_value(metric: str | None, scalars: Mapping[str, float]) -> float | None:
    """The number of a validation that `checkpoints.best` names; None where there is none."""
    return scalars.get(metric.removeprefix("validation/")) if metric else None


class Reporter:
    """Rank 0's voice; on the other ranks all methods do nothing."""

    def __init__(
        self,
        run: Run,
        state: RunState,
        clock: Clock,
        course: Course,
        reading: Reading,
        *,
        is_main: bool,
    ) -> None:
        self._run, self._state, self._clock, self._is_main = run, state, clock, is_main
        self._reading = reading
        self._course = course
        self._progress = Progress(run.job.train.epochs)
        self._recorder: Recorder | None = None
        self._suspect: Phase | None = None
        self._is_advised, self._lines = False, 0
        self._alarms: dict[str, dict[str, object]] = {}
        self._watched: dict[str, LossWatch] = {}

    def open(self, first_step: int) -> None:
        """Begin to record; what an earlier start wrote of later steps is taken away."""
        if self._is_main:
            self._watched = {}
            self.reads(self._reading)
            self._recorder = Recorder(
                self._run.path, first_step, lambda: self._run.stamps.of_start("events")
            )

    def close(self, *, is_failed: bool) -> None:
        """Return when everything is written."""
        if is_failed:
            self._run.stamps.give_up()
        if self._recorder is not None:
            self._recorder.close(is_failed=is_failed)

    def say(self, message: str, *values: object) -> None:
        """Log one line."""
        if self._is_main:
            logger.info(message, *values)

    def reads(self, reading: Reading) -> None:
        """Take in how samples are read from now on."""
        self._reading = reading
        if self._is_main:
            self._state.update(reading=asdict(reading))

    def stage(self, at: Position, leg: Leg) -> None:
        """Tell which samples come now, where a training has several stages."""
        legs = self._course.legs
        if len(legs) > 1:
            crop = " x ".join(map(str, leg.samples.fields.crop))
            self.say(
                "stage %d of %d from epoch %d on: crops of %s input cells, %d steps an epoch",
                legs.index(leg) + 1,
                len(legs),
                at.epoch + 1,
                crop,
                leg.steps_per_epoch,
            )

    def training(
        self,
        at: Position,
        losses: Mapping[str, float],
        settings: Mapping[str, float],
        shown: Mapping[str, float],
    ) -> None:
        """Tell where the training is.

        Args:
            at: position.
            losses: means since the last call.
            settings: learning rates now, and what else changes by itself.
            shown: those of the losses that the line for people has.
        """
        if not losses or self._recorder is None:
            return
        samples_per_s, shares = self._clock.take()
        eta_s = self._course.steps_left(at) * self._clock.recent_step_s
        self._recorder.scalars(
            "train",
            at.epoch,
            at.global_step,
            {
                **{f"loss/{key}": value for key, value in losses.items()},
                **settings,
                "samples_per_s": samples_per_s,
                **{f"share/{phase}": value for phase, value in shares.items()},
            },
        )
        steps = at.step, self._course.steps_in(at.epoch)
        self._progress.show(at.epoch, steps, dict(shown), samples_per_s, eta_s)
        self._advise(shares)
        self._state.update(
            at_most_every_s=1.0,
            **asdict(at),
            loss=dict(losses),
            samples_per_s=round(samples_per_s, 2),
            shares={phase: round(value, 3) for phase, value in shares.items()},
            eta_s=round(eta_s, 1),
        )

    def _advise(self, shares: Mapping[Phase, float]) -> None:
        """Say once what keeps the arithmetic waiting, if it does so twice in a row."""
        phase = worst(shares)
        is_high = phase in ("data", "communication") and shares[phase] > WORTH_TELLING
        if is_high and phase == self._suspect and not self._is_advised:
            self._is_advised = True
            self._progress.end_line()
            self.say("%s", advise(shares, self._run.job, self._reading.workers))
        self._suspect = phase if is_high and self._lines else None
        self._lines += 1

    def validation(self, at: Position, result: Validation) -> None:
        """Tell the outcome of a validation, and write its documents."""
        if self._recorder is None:
            return
        points = {**result.scalars, **result.details}
        self._recorder.scalars("validation", at.epoch, at.global_step, points)
        if result.shells:
            self._recorder.line("shells", at.epoch, at.global_step, result.shells)
        facts: dict[str, object] = {
            "epoch": at.epoch,
            "step": at.global_step,
            "samples_per_s": round(self._clock.mean_samples_per_s, 3),
        }
        metric = self._run.job.train.checkpoints.best
        judged = judged_value(metric, result.scalars)
        if judged is not None and math.isfinite(judged):
            # a start that follows a kill judges by it, unless its metric is another
            facts["judged"] = {"metric": metric, "value": judged}
        documents = {name: {**facts, **content} for name, content in result.files.items()}
        at = replace(at)
        self._run.write_eval(documents, at)
        if self._run.stamps.is_pending(at):
            self._recorder.later(lambda: self._run.complete_eval(documents, at))
        numbers = "  ".join(f"{key} {value:.4g}" for key, value in result.scalars.items())
        self.say("validation after epoch %d: %s", at.epoch, numbers)

        self.alarms(at, result.alarms, cleared=set(self._alarms) - set(LOSS_KINDS))

    def watch_loss(self, at: Position, losses: Mapping[str, float]) -> None:
        """Look for spikes and plateaus, where the task wants that, in the losses of optimizers."""
        settings = getattr(self._run.job.train, "alarms", None)
        if settings is None or self._recorder is None:
            return
        for name, value in losses.items():
            if name not in self._watched:
                self._watched[name] = self._watch(name, settings, at.global_step)
            found = self._watched[name].observe(at.global_step, value)
            self.alarms(at, found, cleared=("plateau",))

    def _watch(self, name: str, settings: LossAlarms, step: int) -> LossWatch:
        """A watch that has seen what earlier starts logged, as if there had been one start."""
        first = getattr(self._run.job.train, "same_loss_from", 0)
        watch = LossWatch(settings, f"loss/{name}", first)
        for before, value in recorded_losses(self._run.path, name, step):
            watch.observe(before, value)
        return watch

    def alarms(self, at: Position, found: Iterable[Alarm], cleared: Iterable[str]) -> None:
        """Tell of alarms: in the log when they begin, in TensorBoard and state.json as they stand.

        Args:
            at: position.
            found: what is wrong now.
            cleared: kinds that are over where they are not among these.
        """
        if self._recorder is None:
            return
        found = list(found)
        before = dict(self._alarms)
        for kind in set(cleared) - kinds(found):
            if self._alarms.pop(kind, None):
                self.say("the alarm %s is over", kind.replace("_", " "))
        for alarm in found:
            if alarm.kind not in before or alarm.kind == "spike":
                self._progress.end_line()
                logger.warning("%s", alarm.text)
            self._recorder.scalars("alarm", at.epoch, at.global_step, {alarm.kind: alarm.value})
            own = {"text": alarm.text, "value": alarm.value, **asdict(at)}
            self._alarms[alarm.kind] = own
        if self._alarms != before:
            self._state.update(alarms=self._alarms)

    def figures(self, at: Position, task: Task) -> None:
        """Draw the task's figures, beside the training."""
        if self._recorder is None:
            return
        make_stamp = partial(self._run.stamps.product, "figure", replace(at))
        for name, draw in task.figures(at.epoch):
            self._recorder.figure(name, at.epoch, at.global_step, draw, make_stamp)

    def schedule_change(self, at: Position, change: ScheduleChange) -> None:
        """Tell that the run goes on under another schedule, and draw both."""
        self.say("the schedule was changed: %s", "; ".join(change.changes))
        if self._recorder is None:
            return
        make_stamp = partial(self._run.stamps.product, "figure", replace(at))
        own = at.epoch, at.global_step, partial(change.draw, at.global_step)
        self._recorder.figure(FIGURE, *own, make_stamp)

    def curves(self, at: Position, task: Task) -> None:
        """Draw the curves of a validation into TensorBoard, beside the training."""
        if self._recorder is None:
            return
        for name, draw in task.curves(at.epoch):
            self._recorder.figure(name, at.epoch, at.global_step, draw, is_kept=False)

    def skipped(self, at: Position, remedy: Remedy) -> None:
        """Tell of a step that was left out.

        Args:
            at: position behind it.
            remedy: knows what was bad.
        """
        text = f"{remedy.text}; {remedy.left_out} ({remedy.counts.skipped} skipped so far)"
        self._non_finite(at, remedy, text)

    def went_back(self, at: Position, remedy: Remedy) -> None:
        """Tell of a return to a checkpoint; what was recorded after it is taken away."""
        if self._recorder is not None:
            self._recorder.close()
            self.open(at.global_step)
        factor = remedy.counts.rate_factor
        text = f"{remedy.text}; went back to step {at.global_step}, learning rates x {factor:g}"
        self._non_finite(at, remedy, text)

    def _non_finite(self, at: Position, remedy: Remedy, text: str) -> None:
        if self._recorder is None:
            return
        self._progress.end_line()
        logger.warning("%s", text)
        counts = remedy.counts
        numbers = {
            "skipped": counts.skipped,
            "returns": counts.returns,
            "rate_factor": counts.rate_factor,
        }
        self._recorder.scalars("non_finite", at.epoch, at.global_step, numbers)
        self._state.update(non_finite={**numbers, "last": text})

    def stopped(self, reason: str) -> None:
        """Tell why the training leaves before its end."""
        self._progress.end_line()
        if self._is_main:
            self._state.fields["stop_reason"] = reason
        self.say("stopped by %s", reason)
