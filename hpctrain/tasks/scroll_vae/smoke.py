"""`hpctrain smoke` of the tasks on scrolls: whether a network can learn a few windows by heart."""

from __future__ import annotations

import math
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hpctrain.comm import Ranks, start
from hpctrain.data.sampler import Share
from hpctrain.data.scroll import ScrollBatch
from hpctrain.data.scroll.dataset import ScrollDataset
from hpctrain.errors import DataError
from hpctrain.registry import resolve, tasks
from hpctrain.tasks.scroll_vae.samples import some_windows
from hpctrain.tasks.super_resolution.smoke import LOOK_EVERY, Outcome
from hpctrain.train.draws import seed_everything
from hpctrain.train.modes import evaluating
from hpctrain.train.run import Run
from hpctrain.train.task import Place, Position
from hpctrain.train.update import Update

MOST_WINDOWS = 8
_INK = "loss", "that of a constant share of ink"
_VAE = "squared error", "the variance of the grey values"
"""What is measured, and what it is compared with."""
_FEWEST = 8
"""Looks before something can be said to stand still; the means of BatchNorm lag at first."""
_FALLING = 0.97
"""A measure that has come below this share of its earlier value still falls."""
_LEARNED = 0.9
"""Of the value before the first step, which may be below the share already: a VAE's linear path
knows the windows' principal components, and a network may begin with trained weights."""


def smoke_run(
    run_dir: Path, share: float, seconds: float, say: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Train on a few training windows in float32, without the run's checkpoints.

    A VAE's squared error is compared with the variance of the grey values, which a constant output
    has; the loss of ink with that of the share of ink, said everywhere. It must have fallen, too:
    what a network knows before the first step proves nothing.

    Args:
        run_dir: rendered, with config.yaml, index and code.
        share: of the yardstick that must be reached.
        seconds: at most, for the steps.
        say: takes lines on the way.

    Raises:
        DataError: no training window has ink and bare papyrus.
    """
    run = Run(run_dir)
    sys.path[:0] = [str(run_dir / "code" / "user")]
    torch.set_num_threads(run.job.resources.cpus_per_rank)
    seed_everything(run.job.train.seed)
    return _Trial(run).learn(share, seconds, say)


class _Trial:
    """A few windows, the network and its optimizer."""

    def __init__(self, run: Run) -> None:
        comm = start("single", Ranks(0, 1, 0, 1, socket.gethostname()), run.path)
        settings = run.job.train
        self.is_ink = settings.task == "ink"
        place = Place(run.path, 0, comm.device)
        self.task: Any = resolve(tasks()[settings.task])(run.job, place)
        train = self.task.build_data(None, lambda value: value).train
        most = min(MOST_WINDOWS, settings.global_batch_size)
        found = _with_ink(train, most) if self.is_ink else some_windows(train, most)
        self.batch: ScrollBatch = found.to(comm.device)
        self.task.models = self.task.build_models()
        for model in self.task.models.values():
            model.to(comm.device)
        own = self.task.build_optimizers(self.task.models)
        self.update = Update(comm, own, clip_grad_norm=settings.clip_grad_norm)
        self.measure, self.yardstick = _INK if self.is_ink else _VAE
        self.by = self._constant_loss() if self.is_ink else float(found.volume.double().var())

    def learn(self, share: float, seconds: float, say: Callable[[str], None]) -> Outcome:
        """Step until the measure has fallen below a share of the yardstick, or the time is over."""
        optimizer = self.task.settings.optimizer
        say(f"{len(self.batch.ids)} windows; {optimizer.name} at {optimizer.learning_rate:g}")
        began, told, step = time.monotonic(), 0.0, 0
        ratios: list[float] = []
        while True:
            now = time.monotonic() - began
            if step % LOOK_EVERY == 0 or now >= seconds:
                ratios.append(self._measured() / self.by if self.by else math.inf)
                goal = min(share, _LEARNED * ratios[0])
                is_learning = step > 0 and ratios[-1] <= goal
                is_over = now >= seconds or is_learning or not math.isfinite(ratios[-1])
                if is_over or step == 0 or now - told >= seconds / 10:
                    say(f"  step {step:5}  {self.measure} {ratios[-1]:.3g} times {self.yardstick}")
                    told = now
                if is_over:
                    hints = [] if is_learning else _advice(ratios)
                    own = ratios[-1], self.yardstick, step, now, hints
                    return Outcome(is_learning, *own, measure=self.measure, goal=goal)
            batch = replace(self.batch, epoch=step)  # other noise in each step
            self.task.training_step(batch, self.update, Position(0, step, step))
            step += 1

    def _measured(self) -> float:
        with torch.no_grad(), evaluating(self.task.models):
            sums = self.task.validation_step(self.batch)
        key = "loss" if self.is_ink else "errors"
        return float(sums[key].mean() / sums["count"])

    def _constant_loss(self) -> float:
        label, mask = self.batch.label, self.batch.mask
        assert label is not None
        logits = torch.full_like(label, float(torch.logit(label[mask].mean())))
        return float(self.task.criterion(logits, label, mask, is_trained=False))


def _with_ink(dataset: ScrollDataset, count: int) -> ScrollBatch:
    """The windows that are nearest to half ink, out of some."""
    batch = some_windows(dataset)
    assert batch.label is not None
    ink, valid = (batch.label * batch.mask).sum((1, 2)), batch.mask.sum((1, 2))
    share = ink / valid.clamp(min=1)
    best = [int(i) for i in (share - 0.5).abs().argsort()[:count] if 0 < share[i] < 1]
    if not best:
        raise DataError(
            f"data: none of {len(share)} training windows has both ink and bare papyrus; give "
            "data.ink_share, or other volumes"
        )
    return dataset.read_batch(Share(0, 0, tuple(batch.ids[i] for i in best), len(best)))


def _advice(ratios: list[float]) -> list[str]:
    """What to look at where the measure has not fallen far enough."""
    if not math.isfinite(ratios[-1]):
        return ["the learning rate: the output is no number; lower it"]
    if len(ratios) < _FEWEST or ratios[-1] < _FALLING * ratios[3 * (len(ratios) - 1) // 4]:
        return ["the time: that was too little to tell; give more --seconds"]
    return ["the learning rate: it has stopped falling; try a third, and three times as much"]
