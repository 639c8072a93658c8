"""VICReg: variance, invariance and covariance of two branches (Bardes et al. 2022, 2105.04906).

Variance and covariance are of the whole batch, so that their inputs are the rows of all ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpctrain.losses.wide import wide

EPSILON = 1e-4
"""Added to variances, as in the paper's code."""
_BLOCK = 1 << 17
"""Numbers of a branch that a CPU works on at a time: they stay in its second cache."""


class VicregLoss(NamedTuple):
    """The weighted sum, and its three parts without their weights."""

    loss: Tensor
    invariance: Tensor
    variance: Tensor
    covariance: Tensor


def vicreg(
    x: Tensor,
    y: Tensor,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> VicregLoss:
    """Equation 6 with the weights of the paper; both branches count half in the variance.

    The backward pass may be taken once: its memory is that of the rows it needs.

    Args:
        x: (N, D) embeddings of one branch behind its expander, of the whole batch.
        y: (N, D) those of the other, row by row of the same samples.
        invariance_weight: lambda of the paper.
        variance_weight: mu of the paper.
        covariance_weight: nu of the paper.

    Raises:
        ValueError: unequal shapes, or fewer than two rows.
    """
    if x.shape != y.shape:
        raise ValueError(f"branches of shapes {tuple(x.shape)} and {tuple(y.shape)}")
    if len(x) < 2:
        raise ValueError(f"{len(x)} row has no variance; VICReg wants a batch of two at least")
    same, variance, covariance = _parts(wide(x), wide(y))
    loss = invariance_weight * same + variance_weight * variance + covariance_weight * covariance
    return VicregLoss(loss, same, variance, covariance)


class _Parts(torch.autograd.Function):
    """The three parts with their derivatives by hand: the centred rows are all that is kept.

    With fewer rows than columns the D x D matrix is never made: X'X and XX' have one Frobenius
    norm, and the diagonal of the first is the sum of squares of each column. Derivatives of all
    parts need none of centring: columns of what it would act on have the mean 0, or that of x - y.

    What costs time beside the products is memory that nobody has touched yet. The centred rows
    become the derivative block by block, so that the backward pass may be taken once.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns = x.shape
        centred = x.new_empty(2, rows, columns)
        means, squares = x.new_empty(2, 2, columns)
        same = x.new_zeros(())
        for part in _blocks(x):
            same += (x[:, part] - y[:, part]).square_().sum()
            for n, z in enumerate((x, y)):
                own = centred[n, :, part]
                torch.mean(z[:, part], 0, out=means[n, part])
                torch.sub(z[:, part], means[n, part], out=own)
                # not `vector_norm` along the rows, which takes fifteen times as long on CPUs
                torch.sum(own.square(), 0, out=squares[n, part])
        deviations = (squares / (rows - 1) + EPSILON).sqrt_()
        products, total = _products(centred, squares)
        ctx.scale = 1 / ((rows - 1) ** 2 * columns)
        ctx.save_for_backward(centred, means, products, squares, deviations)
        variance = torch.relu(1 - deviations).mean()
        return same / x.numel(), variance, (total * ctx.scale).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_same: Tensor, of_variance: Tensor, of_covariance: Tensor) -> Any:
        centred, means, products, squares, deviations = ctx.saved_tensors
        _, rows, columns = centred.shape
        is_gram = rows < columns
        apart = of_same * (2 / (rows * columns))
        factor = 4 * ctx.scale * of_covariance
        by_column = (deviations < 1) / deviations * (-of_variance / (2 * (rows - 1) * columns))
        if is_gram:
            by_column -= factor * squares
        matrices = products * factor
        matrices.diagonal(dim1=1, dim2=2).add_(apart)
        # x - y is the centred x, less the centred y, and the difference of their means
        shift = apart * (means - means.flip(0))
        for part in _blocks(centred[0]) if is_gram else (slice(None),):
            own = centred[:, :, part]
            slopes = torch.addcmul(shift[:, None, part], own, by_column[:, None, part])
            slopes[0].addcmul_(own[1], apart, value=-1)
            slopes[1].addcmul_(own[0], apart, value=-1)
            # in place, which autocast leaves alone
            slopes.baddbmm_(*((matrices, own) if is_gram else (own, matrices)))
            own.copy_(slopes)
        return centred[0], centred[1]


_parts: Callable[[Tensor, Tensor], Any] = _Parts.apply


def _products(centred: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """XX' or X'X of both branches, whichever is smaller, and the squares beside X'X's diagonal."""
    with torch.autocast(centred.device.type, enabled=False):
        if centred.shape[1] < centred.shape[2]:
            products = centred @ centred.mT
            return products, _sum_of_squares(products) - _sum_of_squares(squares)
        products = centred.mT @ centred
        products.diagonal(dim1=1, dim2=2).zero_()
        return products, _sum_of_squares(products)


def _sum_of_squares(values: Tensor) -> Tensor:
    """In float64, as the difference of two such sums is wanted."""
    norm: Tensor = torch.linalg.vector_norm(values, dtype=torch.float64)
    return norm.square()


def _blocks(z: Tensor) -> Iterator[slice]:
    """Columns that are worked on at a time."""
    rows, columns = z.shape
    width = max(1, _BLOCK // rows) if z.device.type == "cpu" else columns
    return (slice(i, i + width) for i in range(0, columns, width))
