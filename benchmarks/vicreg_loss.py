"""VICReg's loss with its gradient against the published structure: time and memory.

    python benchmarks/vicreg_loss.py [--rounds 5] [--threads 2]

The rival is written from the description of the paper's code: for each branch the D x D covariance
of the centred batch, its elements off the diagonal copied into one vector, squared and summed.
Both get the same rows and gradients are compared before anything is timed. Each side lives in a
process of its own, rounds are interleaved, and the medians of the wall's clock and of the
processor's are shown; where other programs share the machine trust the processor's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from loss_sides import compare_losses
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


def main() -> None:
    """Print the table."""
    compare_losses(make, "N x D", SIZES, __doc__.splitlines()[0], rounds=5)


if __name__ == "__main__":
    main()
