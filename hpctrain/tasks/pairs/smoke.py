"""`hpctrain smoke` of the tasks on pairs: whether the networks can learn a few pairs by heart."""

from __future__ import annotations

import math
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpctrain.comm import Ranks, start
from hpctrain.data.pairs import PairBatch
from hpctrain.data.sampler import Share
from hpctrain.registry import resolve, tasks
from hpctrain.tasks.super_resolution.smoke import LOOK_EVERY, Outcome
from hpctrain.train.draws import seed_everything
from hpctrain.train.run import Run
from hpctrain.train.task import Place, Position
from hpctrain.train.update import Update

MOST_PAIRS = 16
_VICREG = "loss", "that of equal embeddings"
_DINO = "cross-entropy", "that of a uniform answer"
"""What is measured, and what it is compared with."""
_FEWEST = 8
"""Looks before something can be said to stand still."""
_FALLING = 0.97
"""A measure that has come below this share of its earlier value still falls."""


def smoke_run(
    run_dir: Path, share: float, seconds: float, say: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Train on a few training pairs in float32, without the run's checkpoints.

    VICReg's loss is compared with that of embeddings that are all equal, DINO's cross-entropy with
    that of a student who tells of each crop the same of all prototypes.

    Args:
        run_dir: rendered, with config.yaml, index and code.
        share: of the yardstick that must be reached.
        seconds: at most, for the steps.
        say: takes lines on the way.
    """
    run = Run(run_dir)
    sys.path[:0] = [str(run_dir / "code" / "user")]
    torch.set_num_threads(run.job.resources.cpus_per_rank)
    seed_everything(run.job.train.seed)
    return _Trial(run).learn(share, seconds, say)


class _Trial:
    """A few pairs, the networks and their optimizer."""

    def __init__(self, run: Run) -> None:
        comm = start("single", Ranks(0, 1, 0, 1, socket.gethostname()), run.path)
        settings = run.job.train
        self.task: Any = resolve(tasks()[settings.task])(run.job, Place(run.path, 0, comm.device))
        train = self.task.build_data(None, lambda value: value).train
        count = min(MOST_PAIRS, settings.global_batch_size, len(train))
        ids = tuple(int(i) for i in np.linspace(0, len(train) - 1, count))
        self.batch: PairBatch = train.read_batch(Share(0, 0, ids, count)).to(comm.device)
        self.task.models = self.task.build_models()
        for model in self.task.models.values():
            model.to(comm.device)
        own = self.task.build_optimizers(self.task.models)
        self.update = Update(comm, own, clip_grad_norm=settings.clip_grad_norm)
        if settings.task == "vicreg":
            self.measure, self.yardstick = _VICREG
            # of equal embeddings the deviation is the root of the 1e-4 that is added to it
            self.by, self.key = 0.99 * self.task.settings.weights.variance, "vicreg"
        else:
            self.measure, self.yardstick = _DINO
            self.by, self.key = math.log(self.task.settings.head.prototypes), "cross_entropy"

    def learn(self, share: float, seconds: float, say: Callable[[str], None]) -> Outcome:
        """Step until the measure is below a share of the yardstick, or the time is over."""
        optimizer = self.task.settings.optimizer
        say(f"{len(self.batch.ids)} pairs; {optimizer.name} at {optimizer.learning_rate:g}")
        began, told, step = time.monotonic(), 0.0, 0
        recent: list[float] = []
        ratios: list[float] = []
        while True:
            batch = replace(self.batch, epoch=step)  # other draws in each step
            losses = self.task.training_step(batch, self.update, Position(1, step, step))
            recent.append(float(losses[self.key]))
            step += 1
            now = time.monotonic() - began
            if step % LOOK_EVERY and now < seconds:
                continue
            ratios.append(sum(recent) / len(recent) / self.by if self.by else math.inf)
            recent = []
            is_over = now >= seconds or ratios[-1] <= share or not math.isfinite(ratios[-1])
            if is_over or len(ratios) == 1 or now - told >= seconds / 10:
                say(f"  step {step:5}  {self.measure} {ratios[-1]:.3g} times {self.yardstick}")
                told = now
            if is_over:
                is_learning = ratios[-1] <= share
                hints = [] if is_learning else _advice(ratios)
                own = ratios[-1], self.yardstick, step, now, hints
                return Outcome(is_learning, *own, measure=self.measure)


def _advice(ratios: list[float]) -> list[str]:
    """What to look at where the measure has not fallen far enough."""
    if not math.isfinite(ratios[-1]):
        return ["the learning rate: the loss is no number; lower it"]
    if len(ratios) < _FEWEST or ratios[-1] < _FALLING * ratios[3 * (len(ratios) - 1) // 4]:
        return ["the time: that was too little to tell; give more --seconds"]
    return ["the learning rate: it has stopped falling; try a third, and three times as much"]
