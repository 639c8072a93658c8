"""Whole VICReg step against the published structure: vit tiny/8 and an expander of three layers.

    python benchmarks/vicreg_step.py [--batch 32] [--width 8192] [--rounds 3] [--threads 2]

The rival is written from the description of the paper's code: float32, one network for both views,
attention with its N x N matrix, the D x D covariance of each view, and LARS parameter by parameter.
Both begin with the same weights and pictures of 64 x 64, and the losses of the first step are
compared. Each side lives in a process of its own; rounds are interleaved, and medians of wall and
processor time are shown. At a width of 8192 each side takes 3 to 5 GB.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from step_sides import as_published, classes, compare_steps
from torch import Tensor
from vicreg_loss import published

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.vicreg import Vicreg
from hpctrain.data.pairs import PairBatch
from hpctrain.tasks.pairs.networks import ends_of
from hpctrain.tasks.vicreg.networks import make_networks
from hpctrain.tasks.vicreg.task import VicregTask
from hpctrain.train.precision import Precision
from hpctrain.train.task import Position
from hpctrain.train.update import Update

SIZE = (64, 64)
RATE, DECAY, MOMENTUM, TRUST = 0.2, 1e-6, 0.9, 0.001


class Bench(VicregTask):
    """The task without its data."""

    def __init__(self, width: int) -> None:
        self.settings = Vicreg(
            task="vicreg",
            epochs=10,
            global_batch_size=2,
            backbone={"kind": "vit", "size": "tiny", "patch_size": 8},
            share_backbone=True,
            expander=(width, width, width),
        )
        self.ends = ends_of(self.settings)
        torch.manual_seed(0)
        self.models = make_networks(self.settings, {"rgb": 3, "ir": 3}, {"rgb": SIZE, "ir": SIZE})


class Published:
    """A step of the paper's code."""

    def __init__(self, models: Any, views: list[Tensor]) -> None:
        self.models, self.views = models, views
        self.parameters = [p for net in models.values() for p in net.parameters()]
        self.momenta = [torch.zeros_like(p) for p in self.parameters]
        as_published(models["backbone"])

    def __call__(self) -> float:
        """One step; returns the loss."""
        models = self.models
        loss = published(
            *(models["expander"](classes(models["backbone"], view)) for view in self.views)
        )
        for p in self.parameters:
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p, momentum in zip(self.parameters, self.momenta, strict=True):
                self._step(p, momentum)
        return loss.item()

    def _step(self, p: Tensor, momentum: Tensor) -> None:
        step = p.grad
        assert step is not None
        if p.ndim > 1:
            step = step.add(p, alpha=DECAY)
            weight, slope = torch.norm(p), torch.norm(step)
            local = torch.where((weight > 0) & (slope > 0), TRUST * weight / slope, 1.0)
            step = step.mul(local)
        momentum.mul_(MOMENTUM).add_(step)
        p.add_(momentum, alpha=-RATE)


def make(side: str, batch: int, width: int) -> Callable[[], float]:
    """A function of one step; returns the loss."""
    task = Bench(width)
    source = torch.Generator().manual_seed(1)
    views = [torch.randn(batch, 3, *SIZE, generator=source) for _ in range(2)]
    if side == "published":
        return Published(task.models, views)
    precision = Precision(side, "asked for")
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    update = Update(
        comm, task.build_optimizers(task.models), autocast=precision.autocast(comm.device)
    )
    crops = {"rgb": (views[0],), "ir": (views[1],)}
    own = PairBatch(tuple(range(batch)), 0, crops, 1, num_global=batch)
    return lambda: float(task.training_step(own, update, Position())["vicreg"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    print(
        f"batch {given.batch}, width {given.width}, {given.threads} thread(s), "
        f"{given.rounds} rounds"
    )
    compare_steps(make, given, (given.batch, given.width), 1e-5)


if __name__ == "__main__":
    main()
