"""Whole DINO step against the published structure: two large and four small crops, vit tiny/8.

    python benchmarks/dino_step.py [--batch 16] [--prototypes 4096] [--rounds 5] [--threads 2]

The rival is written from the description of the paper's code: float32, attention with its N x N
matrix, crops of one size in one pass, a log-softmax for each pair of pictures, the gradient clipped
parameter by parameter with a look at each norm, AdamW over two groups, and the teacher's average
parameter by parameter. Both begin with the same weights and crops, and the losses of the first
step are compared; later ones part, as the rival clips each gradient by itself and we clip all as
one. Only the line `float32` is like for like: `bfloat16` has another precision, and both have
torch's fused AdamW, which the rival could ask for by one word. Each side lives in a process of its
own; rounds are interleaved, and medians of wall and processor time are shown. How fast the
processor multiplies in both precisions stands above the table: the published step is nearly all
products.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from step_sides import as_published, classes, compare_steps
from torch import Tensor

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.dino import Dino
from hpctrain.data.pairs import PairBatch
from hpctrain.tasks.dino.networks import make_networks
from hpctrain.tasks.dino.task import DinoTask
from hpctrain.tasks.dino.teacher import Teacher
from hpctrain.tasks.pairs.networks import ends_of
from hpctrain.train.precision import Precision
from hpctrain.train.task import Position
from hpctrain.train.update import Update

LARGE, SMALL, NUM_SMALL = (64, 64), (32, 32), 4


def settings(prototypes: int) -> Dino:
    """The job's block."""
    return Dino(
        task="dino",
        epochs=10,
        global_batch_size=1,
        backbone={"kind": "vit", "size": "tiny", "patch_size": 8},
        head={"prototypes": prototypes},
        clip_grad_norm=3.0,
        freeze_last_layer_epochs=0,
    )


class Bench(DinoTask):
    """The task without its data."""

    def __init__(self, block: Dino) -> None:
        self.settings, self.ends, self.total_steps = block, ends_of(block), 1000
        self.teacher = Teacher(block, self.ends)
        torch.manual_seed(0)
        sizes = {"rgb": LARGE, "ir": LARGE}
        self.models = make_networks(block, {"rgb": 3, "ir": 3}, sizes)


class Published:
    """A step of the paper's code."""

    def __init__(self, models: Any, crops: list[Tensor]) -> None:
        self.models, self.crops = models, crops
        named = [
            (name, p)
            for role in ("student", "student_head")
            for name, p in models[role].named_parameters()
        ]
        decayed = [p for name, p in named if p.ndim > 1 and not name.endswith(".bias")]
        others = [p for name, p in named if p.ndim <= 1 or name.endswith(".bias")]
        groups = [{"params": decayed, "weight_decay": 0.04}, {"params": others, "weight_decay": 0}]
        self.optimizer = torch.optim.AdamW(groups, lr=5e-4)
        self.parameters = [p for _, p in named]
        self.centre = torch.zeros(1, models["student_head"].prototypes.shape[0])

    def __call__(self) -> float:
        """One step; returns the loss."""
        models = self.models
        with torch.no_grad():
            teacher = models["teacher_head"](classes(models["teacher"], torch.cat(self.crops[:2])))
        sizes = (self.crops[:2], self.crops[2:])
        vectors = torch.cat([classes(models["student"], torch.cat(own)) for own in sizes])
        student = models["student_head"](vectors)
        loss = self._loss(student, teacher)
        self.optimizer.zero_grad()
        loss.backward()
        for p in self.parameters:
            norm = p.grad.norm(2)
            factor = 3.0 / (norm + 1e-6)
            if factor < 1:
                p.grad.mul_(factor)
        self.optimizer.step()
        with torch.no_grad():
            for role in ("", "_head"):
                pairs = zip(
                    models[f"student{role}"].parameters(),
                    models[f"teacher{role}"].parameters(),
                    strict=True,
                )
                for s, t in pairs:
                    t.mul_(0.996).add_((1 - 0.996) * s.detach())
            self.centre = self.centre * 0.9 + teacher.mean(0, keepdim=True) * 0.1
        return loss.item()

    def _loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        crops = (student / 0.1).chunk(len(self.crops))
        pictures = F.softmax((teacher - self.centre) / 0.04, dim=-1).detach().chunk(2)
        total, terms = student.new_zeros(()), 0
        for q, picture in enumerate(pictures):
            for v, crop in enumerate(crops):
                if v != q:
                    total = total + torch.sum(-picture * F.log_softmax(crop, -1), -1).mean()
                    terms += 1
        return total / terms


def make(side: str, batch: int, prototypes: int) -> Callable[[], float]:
    """A function of one step; returns the loss."""
    task = Bench(settings(prototypes))
    source = torch.Generator().manual_seed(1)
    sizes = [LARGE] * 2 + [SMALL] * NUM_SMALL
    crops = [torch.randn(batch, 3, *size, generator=source) for size in sizes]
    if side == "published":
        for role in ("student", "teacher"):
            as_published(task.models[role])
        return Published(copy.copy(task.models), crops)
    precision = Precision(side, "asked for")
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    update = Update(
        comm,
        task.build_optimizers(task.models),
        clip_grad_norm=3.0,
        autocast=precision.autocast(comm.device),
    )
    both = {"rgb": tuple(crops), "ir": tuple(crops)}
    own = PairBatch(tuple(range(batch)), 0, both, 2, num_global=batch)
    return lambda: float(task.training_step(own, update, Position())["dino"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--prototypes", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    print(
        f"batch {given.batch}, K {given.prototypes}, {given.threads} thread(s), "
        f"{given.rounds} rounds"
    )
    compare_steps(make, given, (given.batch, given.prototypes), 1e-5)


if __name__ == "__main__":
    main()
