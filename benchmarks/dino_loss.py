"""DINO's loss with its gradient against the published structure, with 2 + 8 crops.

    python benchmarks/dino_loss.py [--rounds 7] [--threads 2]

The rival is written from the description of the paper's code: for each picture of the teacher and
each crop of the student that is another picture a log-softmax, a product and a mean. Both get the
same numbers, and losses and gradients are compared before anything is timed. Each side lives in a
process of its own, rounds are interleaved, and medians of wall and processor time are shown.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from contextlib import ExitStack

import torch
import torch.nn.functional as F
from own_process import Measured, OwnProcess
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


def compare(batch: int, prototypes: int, rounds: int, threads: int) -> None:
    """Print the line of one size."""
    with ExitStack() as stack:
        sides = {
            kind: stack.enter_context(OwnProcess(make, kind, batch, prototypes, threads=threads))
            for kind in ("published", "ours")
        }
        first = {kind: side() for kind, side in sides.items()}
        found: dict[str, list[Measured]] = {kind: [] for kind in sides}
        for _ in range(rounds):
            for kind, side in sides.items():
                found[kind].append(side())
    (loss, slope), (own_loss, own_slope) = (first[k].value for k in ("published", "ours"))
    scale = max(map(abs, slope))
    apart = max(abs(a - b) / scale for a, b in zip(slope, own_slope, strict=True))
    assert abs(loss - own_loss) < 1e-5 * abs(loss), (loss, own_loss)
    assert apart < 1e-5, apart
    wall = {k: statistics.median(m.seconds for m in ms) for k, ms in found.items()}
    cpu = {k: statistics.median(m.cpu_seconds for m in ms) for k, ms in found.items()}
    peak = {k: ms[-1].megabytes for k, ms in found.items()}
    print(
        f"{batch:4} x {prototypes:<6}"
        + "".join(f"{1e3 * wall[k]:10.1f}{1e3 * cpu[k]:9.1f}{peak[k]:8.0f}" for k in sides)
        + "".join(f"{t['published'] / t['ours']:8.2f}" for t in (wall, cpu, peak))
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(f"forward and backward, float32, {options.threads} thread(s), {options.rounds} rounds")
    head = "".join(f"{word:>{n}}" for word, n in (("wall ms", 10), ("cpu ms", 9), ("MB", 8)))
    print(f"{'B x K':13}{head}{head}    ratios: wall, cpu, memory")
    print(f"{'':13}{'published':>27}{'ours':>27}")
    for batch, prototypes in SIZES:
        compare(batch, prototypes, options.rounds, options.threads)


if __name__ == "__main__":
    main()
