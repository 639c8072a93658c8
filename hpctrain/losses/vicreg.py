"""VICReg: variance, invariance and covariance of two branches (Bardes et al. 2022, 2105.04906).

Variance and covariance are of the whole batch, so that their inputs are the rows of all ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpctrain.losses.wide import wide

EPSILON = 1e-4
"""Added to variances, as in the paper's code."""


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
    same = invariance(x, y)
    (var_x, cov_x), (var_y, cov_y) = spread(x), spread(y)
    variances, covariances = (var_x + var_y) / 2, cov_x + cov_y
    loss = invariance_weight * same + variance_weight * variances + covariance_weight * covariances
    return VicregLoss(loss, same, variances, covariances)


def invariance(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared difference of rows and columns (equation 5, over D as in the paper's code)."""
    return F.mse_loss(wide(x), wide(y))


def variance(z: Tensor) -> Tensor:
    """Mean of max(0, 1 - sqrt(var + 1e-4)) over columns (equation 1); see `spread`."""
    return spread(z)[0]


def covariance(z: Tensor) -> Tensor:
    """Sum of squares beside the diagonal of the covariance, over D (equation 4); see `spread`."""
    return spread(z)[1]


def spread(z: Tensor) -> tuple[Tensor, Tensor]:
    """Variance and covariance terms of one branch, which share its centred rows.

    With fewer rows than columns the D x D matrix is never made: X'X and XX' have one Frobenius
    norm, and the diagonal of the first is the sum of squares of each column.

    Args:
        z: (N, D); half precisions are computed with in float32.

    Raises:
        ValueError: fewer than two rows, which have no variance.
    """
    if len(z) < 2:
        raise ValueError(f"{len(z)} row has no variance; VICReg wants a batch of two at least")
    terms: tuple[Tensor, Tensor] = _spread(wide(z))
    return terms


class _Spread(torch.autograd.Function):
    """Both terms with their derivatives by hand: one centred copy is all that is kept.

    Columns of the derivative have the mean 0 as those of the centred rows do, so that centring
    needs no derivative of its own.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> tuple[Tensor, Tensor]:
        rows, columns = z.shape
        with torch.autocast(z.device.type, enabled=False):
            x = z - z.mean(0)
            squares = torch.linalg.vector_norm(x, dim=0).square_()
            deviation = (squares / (rows - 1) + EPSILON).sqrt_()
            is_gram = rows < columns
            product = x @ x.T if is_gram else x.T @ x
            if is_gram:
                total = _sum_of_squares(product) - _sum_of_squares(squares)
            else:
                product.fill_diagonal_(0)
                total = _sum_of_squares(product)
            ctx.scale = 1 / ((rows - 1) ** 2 * columns)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, product, squares, deviation)
        short = F.relu(1 - deviation).mean()
        return short, (total * ctx.scale).to(z.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor | None) -> Tensor | None:
        x, product, squares, deviation = ctx.saved_tensors
        rows, columns = x.shape
        of_variance, of_covariance = slopes
        by_column = torch.zeros_like(squares)
        if of_variance is not None:
            by_column -= of_variance * (deviation < 1) / (deviation * ((rows - 1) * columns))
        if of_covariance is None:
            alone: Tensor = x * by_column
            return alone
        factor = 4 * ctx.scale * of_covariance
        if rows < columns:
            by_column -= factor * squares
            return torch.addmm(x * by_column, product * factor, x)
        return torch.addmm(x * by_column, x, product * factor)


_spread: Callable[[Tensor], Any] = _Spread.apply


def _sum_of_squares(values: Tensor) -> Tensor:
    """In float64, as the difference of two such sums is wanted."""
    norm: Tensor = torch.linalg.vector_norm(values, dtype=torch.float64)
    return norm.square()
