"""`hpctrain smoke`: whether the set-up of a job can learn, found out on one sample."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from hpctrain.comm import Ranks, start
from hpctrain.config.task import FieldTraining
from hpctrain.data import BatchLoader, FieldBatch
from hpctrain.data.sampler import Share
from hpctrain.errors import ConfigError
from hpctrain.registry import resolve, tasks
from hpctrain.tasks.super_resolution.advice import Observed, advice
from hpctrain.tasks.super_resolution.task import SuperResolutionTask
from hpctrain.train.draws import seed_everything
from hpctrain.train.modes import evaluating
from hpctrain.train.run import Run
from hpctrain.train.task import Place, Position
from hpctrain.train.update import Update

LOOK_EVERY = 10
"""Steps between two looks at the error; the time is looked at after each."""


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    is_learning: bool
    ratio: float
    yardstick: str
    steps: int
    seconds: float
    advice: list[str] = field(default_factory=list)
    """What to look at, where it does not learn."""
    measure: str = "RMSE"
    """What `ratio` compares."""
    goal: float | None = None
    """What `ratio` should be below; None: the share that was asked for."""


def smoke_run(
    run_dir: Path, share: float, seconds: float, say: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Overfit the first training sample in float32, without the run's own checkpoints.

    The generator learns from the criterion alone; where the job has an adversary, one step of it
    follows, to see that it gives finite losses.

    Args:
        run_dir: rendered, with config.yaml, index and code.
        share: of the yardstick's RMSE that must be reached.
        seconds: at most, for the steps.
        say: takes lines on the way.

    Raises:
        ConfigError: the job trains no fields.
    """
    run = Run(run_dir)
    if not isinstance(run.job.train, FieldTraining):
        raise ConfigError(f"train.task: hpctrain smoke knows no {run.job.train.task}")
    sys.path[:0] = [str(run_dir / "code" / "user")]
    torch.set_num_threads(run.job.resources.cpus_per_rank)
    seed_everything(run.job.train.seed)
    trial = _Trial(run)
    say(f"one sample, {trial.name}; {trial.update_text}")
    observed = trial.overfit(share, seconds, say)
    if observed.is_learned and trial.has_adversary:
        trial.try_adversary(observed)
    return Outcome(
        observed.is_learned and not observed.bad_losses,
        observed.ratios[-1][1],
        trial.yardstick,
        observed.ratios[-1][0],
        observed.seconds,
        advice(observed, run.job.train.optimizer.learning_rate),
    )


class _Trial:
    """One sample, networks and optimizers."""

    def __init__(self, run: Run) -> None:
        ranks = Ranks(0, 1, 0, 1, socket.gethostname())
        self.comm = start("single", ranks, run.path)
        place = Place(run.path, 0, self.comm.device)
        made = resolve(tasks()[run.job.train.task])(run.job, place)
        assert isinstance(made, SuperResolutionTask)
        self.task, self.settings = made, made.settings
        data = made.build_data(None, lambda value: value)
        self.name = data.train.sample_name(0)
        shares = iter([Share(0, 0, (0,), 1)])
        with BatchLoader(data.train, shares, workers=0, device=self.comm.device) as loader:
            self.batch: FieldBatch = next(loader)
        made.models = made.build_models()
        for model in made.models.values():
            model.to(self.comm.device)
        self.update = Update(
            self.comm,
            made.build_optimizers(made.models),
            clip_grad_norm=self.settings.clip_grad_norm,
        )
        baseline = made.evaluation.baseline
        self.yardstick = f"{baseline}'s" if baseline else "the target's deviation"

    @property
    def has_adversary(self) -> bool:
        return self.settings.adversary is not None

    @property
    def update_text(self) -> str:
        optimizer, criterion = self.settings.optimizer, self.settings.criterion
        return f"{optimizer.name} at {optimizer.learning_rate:g}, criterion {criterion}"

    def overfit(self, share: float, seconds: float, say: Callable[[str], None]) -> Observed:
        """Step until the error is below a share of the yardstick, or the time is over."""
        observed = Observed(self.task.scales, self.batch)
        began = time.monotonic()
        step, told = 0, 0.0
        while True:
            is_late = time.monotonic() - began >= seconds
            if step % LOOK_EVERY == 0 or is_late:
                ratio = self._ratio()
                observed.ratios.append((step, ratio))
                now = observed.seconds = time.monotonic() - began
                observed.is_learned = ratio <= share
                is_over = observed.is_learned or now >= seconds or not ratio < float("inf")
                if is_over or now - told >= seconds / 10 or step == 0:
                    say(f"  step {step:5}  RMSE {ratio:9.4g} times {self.yardstick}")
                    told = now
                if is_over:
                    return observed
            at = Position(epoch=-1, step=step, global_step=step)  # before all adversarial epochs
            losses = self.task.training_step(self.batch, self.update, at)
            observed.losses.append(float(losses["generator"]))
            observed.see_gradients(self.task.models["generator"])
            step += 1

    def try_adversary(self, observed: Observed) -> None:
        """One step of the adversarial phase; its losses must be numbers."""
        at = Position(epoch=self.settings.pretrain_epochs, step=0, global_step=0)
        losses = self.task.training_step(self.batch, self.update, at)
        observed.bad_losses = _not_finite(losses)

    def _ratio(self) -> float:
        with torch.no_grad(), evaluating(self.task.models):
            sums = self.task.validation_step(self.batch)
        error = float(sums["squared_error/generator"].mean().sqrt())
        baseline = self.task.evaluation.baseline
        if baseline:
            theirs = float(sums[f"squared_error/{baseline}"].mean().sqrt())
        else:
            deviations = self.batch.target.double().std((0, 2, 3, 4))
            theirs = float(deviations.square().mean().sqrt())
        return error / theirs if theirs else float("inf")


def _not_finite(losses: Mapping[str, Tensor]) -> list[str]:
    return [name for name, value in losses.items() if not torch.isfinite(value)]
