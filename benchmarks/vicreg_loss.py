"""VICReg's loss with its gradient against the published structure: time and memory.

    python benchmarks/vicreg_loss.py [--rounds 5] [--threads 2]

The rival is written from the description of the paper's code: for each branch the D x D covariance
of the centred batch, its elements off the diagonal copied into one vector, squared and summed.
Both get the same rows and gradients are compared before anything is timed. Each side lives in a
process of its own, rounds are interleaved, and the medians of the wall's clock and of the
processor's are shown; where other programs share the machine trust the processor's.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from contextlib import ExitStack

import torch
from own_process import Measured, OwnProcess
from torch import Tensor

from hpctrain.losses.vicreg import vicreg

SIZES = ((64, 8192), (256, 8192), (64, 2048), (256, 2048))


def published(x: Tensor, y: Tensor) -> Tensor:
    """The loss as the paper's code computes it."""
    rows, columns = x.shape
    same = torch.nn.functional.mse_loss(x, y)
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    deviations = [torch.sqrt(z.var(dim=0) + 1e-4) for z in (x, y)]
    variance = sum(torch.relu(1 - s).mean() / 2 for s in deviations)
    covariance = x.new_zeros(())
    for z in (x, y):
        matrix = (z.T @ z) / (rows - 1)
        beside = matrix.flatten()[:-1].view(columns - 1, columns + 1)[:, 1:].flatten()
        covariance = covariance + beside.pow(2).sum() / columns
    return 25 * same + 25 * variance + covariance


def make(kind: str, rows: int, columns: int) -> Callable[[], tuple[float, list[float]]]:
    """A function of one forward and backward pass; returns loss and some of the gradient."""
    source = torch.Generator().manual_seed(rows)
    mixed = torch.randn(rows, columns, generator=source)
    x, y = (
        (0.6 * mixed + 0.5 * torch.randn(rows, columns, generator=source)).requires_grad_()
        for _ in range(2)
    )

    def step() -> tuple[float, list[float]]:
        x.grad = y.grad = None
        loss = vicreg(x, y).loss if kind == "ours" else published(x, y)
        loss.backward()
        assert x.grad is not None
        return loss.item(), [*x.grad.flatten()[:: columns // 7].tolist(), float(x.grad.norm())]

    return step


def compare(rows: int, columns: int, rounds: int, threads: int) -> None:
    """Print the line of one size."""
    with ExitStack() as stack:
        sides = {
            kind: stack.enter_context(OwnProcess(make, kind, rows, columns, threads=threads))
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
        f"{rows:4} x {columns:<6}"
        + "".join(f"{1e3 * wall[k]:10.1f}{1e3 * cpu[k]:9.1f}{peak[k]:8.0f}" for k in sides)
        + "".join(f"{t['published'] / t['ours']:8.1f}" for t in (wall, cpu, peak))
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(f"forward and backward, float32, {options.threads} thread(s), {options.rounds} rounds")
    head = "".join(f"{word:>{n}}" for word, n in (("wall ms", 10), ("cpu ms", 9), ("MB", 8)))
    print(f"{'N x D':13}{head}{head}    ratios: wall, cpu, memory")
    print(f"{'':13}{'published':>27}{'ours':>27}")
    for rows, columns in SIZES:
        compare(rows, columns, options.rounds, options.threads)


if __name__ == "__main__":
    main()
