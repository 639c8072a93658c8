"""`hpctrain smoke` of a GAN without input: whether both networks can learn from a few samples."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from hpctrain.comm import Ranks, start
from hpctrain.data import BatchLoader, FieldBatch
from hpctrain.data.sampler import Share
from hpctrain.tasks.field_gan.task import FieldGanTask
from hpctrain.tasks.super_resolution.smoke import LOOK_EVERY, Outcome
from hpctrain.train.draws import seed_everything
from hpctrain.train.modes import evaluating
from hpctrain.train.run import Run
from hpctrain.train.task import Place, Position
from hpctrain.train.update import Update

MOST_SAMPLES = 8
MEASURE, YARDSTICK = "share of cells in a wrong bin of the histogram", "the untrained generator's"
_SURE = 0.01
"""A loss of the discriminator below it leaves the generator nothing to learn from: all fields are
told apart, or with `wasserstein` none."""


def smoke_run(
    run_dir: Path, share: float, seconds: float, say: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Train both networks on a few training samples in float32, without the run's checkpoints.

    How far made fields are from these samples is half the sum of the differences of the two
    histograms, which falls from 1 to 0; noise is new in each step.

    Args:
        run_dir: rendered, with config.yaml, index and code.
        share: of the untrained generator's distance that must be reached.
        seconds: at most, for the steps.
        say: takes lines on the way.
    """
    run = Run(run_dir)
    torch.set_num_threads(run.job.resources.cpus_per_rank)
    seed_everything(run.job.train.seed)
    trial = _Trial(run)
    optimizers = trial.task.settings.optimizer, trial.task.settings.adversary.optimizer
    rates = " and ".join(f"{o.name} at {o.learning_rate:g}" for o in optimizers)
    say(f"{len(trial.batch.ids)} samples; {rates} (generator and discriminator)")
    return trial.learn(share, seconds, say)


_SAME = (
    "the critic: it scores true and made fields alike, so that the generator learns nothing; raise "
    "train.adversary.critic_steps or train.adversary.optimizer.learning_rate"
)
_APART = (
    "the discriminator: it tells all fields apart, so that the generator learns nothing; "
    "lower train.adversary.optimizer.learning_rate, or raise {}"
)
_NOISE = "label_flip or instance_noise"
_NOISES = {"least_squares": "label_smoothing or instance_noise"}
"""What keeps it from being sure; least_squares goes with no label_flip."""


class _Trial:
    """A batch, networks and optimizers."""

    def __init__(self, run: Run) -> None:
        comm = start("single", Ranks(0, 1, 0, 1, socket.gethostname()), run.path)
        self.task = FieldGanTask(run.job, Place(run.path, 0, comm.device))
        data = self.task.build_data(None, lambda value: value)
        count = min(MOST_SAMPLES, run.job.train.global_batch_size, len(data.train))
        ids = tuple(i * len(data.train) // count for i in range(count))  # of many files
        with BatchLoader(data.train, iter([Share(0, 0, ids, count)]), 0, 1, comm.device) as loader:
            self.batch: FieldBatch = next(loader)
        self.task.models = self.task.build_models()
        for model in self.task.models.values():
            model.to(comm.device)
        clip = self.task.settings.clip_grad_norm
        self.update = Update(
            comm, self.task.build_optimizers(self.task.models), clip_grad_norm=clip
        )

    def learn(self, share: float, seconds: float, say: Callable[[str], None]) -> Outcome:
        """Step until the distance is below a share of the first, or the time is over."""
        began, told, step = time.monotonic(), 0.0, 0
        ratios: list[float] = []
        losses: dict[str, float] = {}
        first = self._distance()
        while True:
            now = time.monotonic() - began
            is_late = now >= seconds or not all(map(math.isfinite, losses.values()))
            if step % LOOK_EVERY == 0 or is_late:
                ratios.append(self._distance() / first if first else 0.0)
                is_over = is_late or ratios[-1] <= share
                if is_over or step == 0 or now - told >= seconds / 10:
                    found = "  ".join(f"{key} {value:.3g}" for key, value in losses.items())
                    say(f"  step {step:5}  {ratios[-1]:.3f} times {YARDSTICK}  {found}")
                    told = now
                if is_over:
                    is_finite = all(map(math.isfinite, losses.values()))
                    is_learning = is_finite and ratios[-1] <= share
                    hints = [] if is_learning else self._advise(ratios, losses)
                    own = ratios[-1], YARDSTICK, step, now, hints
                    return Outcome(is_learning, *own, measure=MEASURE)
            batch = replace(self.batch, epoch=step)
            at = Position(epoch=0, step=step, global_step=step)
            found_losses = self.task.training_step(batch, self.update, at)
            losses = {key: float(value) for key, value in found_losses.items()}
            step += 1

    def _advise(self, ratios: list[float], losses: dict[str, float]) -> list[str]:
        return advice(ratios, losses, self.task.settings.adversary.loss)

    def _distance(self) -> float:
        """Share of cells that would have to change their bin, a mean over variables."""
        with torch.no_grad(), evaluating(self.task.models):
            sums = self.task.validation_step(self.batch)
        true, made = (
            sums[f"histogram/{kind}"] / sums[f"count/{kind}"] for kind in ("truth", "generator")
        )
        return float((true - made).abs().sum(1).mean() / 2)


def advice(ratios: list[float], losses: dict[str, float], kind: str) -> list[str]:
    """What to look at where the distance has not fallen far enough.

    Args:
        ratios: distances so far, over the first.
        losses: of the last step.
        kind: `adversary.loss`.
    """
    bad = [key for key, value in losses.items() if not math.isfinite(value)]
    if bad:
        return [f"losses: {', '.join(bad)} is no number; lower both learning rates"]
    found = []
    if abs(losses.get("discriminator", 1.0)) < _SURE:
        found.append(_SAME if kind == "wasserstein" else _APART.format(_NOISES.get(kind, _NOISE)))
    before = ratios[3 * (len(ratios) - 1) // 4]
    if ratios[-1] < 0.97 * before:
        found.append("the time: the distance still falls; give more --seconds")
    elif not found:
        found.append("learning rates: the distance has stopped falling; try a third of both")
    return found
