"""DINO's loss with its gradient against the published structure, with 2 + 8 crops.

    python benchmarks/dino_loss.py [--rounds 7] [--threads 2]

The rival is written from the description of the paper's code: for each picture of the teacher and
each crop of the student that is another picture a log-softmax, a product and a mean. Both get the
same numbers, and losses and gradients are compared before anything is timed. Each side lives in a
process of its own, rounds are interleaved, and medians of wall and processor time are shown.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from loss_sides import compare_losses
from torch import Tensor

from hpctrain.losses.dino import centred, dino_loss

SIZES = ((32, 65536), (16, 65536), (32, 4096))
CROPS, PICTURES = 10, 2


def published(student: Tensor, teacher: Tensor, centre: Tensor) -> Tensor:
    """The loss as the paper's code computes it."""
    crops = (student / 0.1).chunk(CROPS)
    pictures = F.softmax((teacher - centre) / 0.04, dim=-1).detach().chunk(PICTURES)
    total, terms = student.new_zeros(()), 0
    for q, picture in enumerate(pictures):
        for v, crop in enumerate(crops):
            if v == q:
                continue
            loss = torch.sum(-picture * F.log_softmax(crop, dim=-1), dim=-1)
            total = total + loss.mean()
            terms += 1
    return total / terms


def ours(student: Tensor, teacher: Tensor, centre: Tensor) -> Tensor:
    """The same."""
    targets = centred(teacher, centre, 0.04).chunk(PICTURES)
    same = [v if v < PICTURES else None for v in range(CROPS)]
    return dino_loss([student.view(CROPS, -1, student.shape[1])], targets, same, 0.1)


def make(kind: str, batch: int, prototypes: int) -> Callable[[], tuple[float, list[float]]]:
    """A function of one forward and backward pass; returns loss and some of the gradient."""
    source = torch.Generator().manual_seed(batch)
    student = (0.3 * torch.randn(CROPS * batch, prototypes, generator=source)).requires_grad_()
    teacher = 0.2 * torch.randn(PICTURES * batch, prototypes, generator=source)
    centre = 0.05 * torch.randn(prototypes, generator=source)
    function = ours if kind == "ours" else published

    def step() -> tuple[float, list[float]]:
        student.grad = None
        loss = function(student, teacher, centre)
        loss.backward()
        assert student.grad is not None
        some = student.grad.flatten()[:: prototypes // 5].tolist()
        return loss.item(), [*some, float(student.grad.norm())]

    return step


def main() -> None:
    """Print the table."""
    compare_losses(make, "B x K", SIZES, __doc__.splitlines()[0], rounds=7)


if __name__ == "__main__":
    main()
