"""VICReg against the formulas of the paper, element by element in float64, with gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hpctrain.losses import vicreg as own

TALL, WIDE, SQUARE = (9, 4), (5, 12), (6, 6)


def branches(shape: tuple[int, int], deviation: float = 0.7) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(shape[0])
    made = [torch.randn(shape, generator=source, dtype=torch.float64) for _ in range(2)]
    return deviation * made[0].requires_grad_(), made[1].requires_grad_()


def variance(z: Tensor) -> Tensor:
    """Equation 1: column by column."""
    terms = [torch.relu(1 - torch.sqrt(column.var() + 1e-4)) for column in z.T]
    return torch.stack(terms).mean()


def covariance(z: Tensor) -> Tensor:
    """Equations 3 and 4: pair by pair of columns."""
    rows, columns = z.shape
    total = z.new_zeros(())
    for i in range(columns):
        for j in range(columns):
            if i != j:
                a, b = z[:, i] - z[:, i].mean(), z[:, j] - z[:, j].mean()
                total = total + ((a * b).sum() / (rows - 1)) ** 2
    return total / columns


def published(x: Tensor, y: Tensor) -> Tensor:
    """Equation 6 with the paper's weights, as its code sums the branches."""
    same = (x - y).square().mean()
    variances = (variance(x) + variance(y)) / 2
    return 25 * same + 25 * variances + covariance(x) + covariance(y)


@pytest.mark.parametrize("shape", [TALL, WIDE, SQUARE])
def test_loss_and_gradient__equal_the_formulas(shape: tuple[int, int]) -> None:
    x, y = branches(shape)
    found, expected = own.vicreg(x, y).loss, published(x, y)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    slopes = torch.autograd.grad(found, (x, y))
    for slope, wanted in zip(slopes, torch.autograd.grad(expected, (x, y)), strict=True):
        torch.testing.assert_close(slope, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_parts__equal_the_formulas_one_by_one(shape: tuple[int, int]) -> None:
    x, y = branches(shape)
    expected = {
        "invariance": (x - y).square().mean(),
        "variance": (variance(x) + variance(y)) / 2,
        "covariance": covariance(x) + covariance(y),
    }
    for name, wanted in expected.items():
        found = getattr(own.vicreg(x, y), name)
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
        slopes = torch.autograd.grad(found, (x, y))
        # an error of one part, such as a branch's shift, must not hide behind another's size
        known = torch.autograd.grad(wanted, (x, y), materialize_grads=True)
        torch.testing.assert_close(slopes, known, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 47), (12, 12), (12, 9)])
@pytest.mark.parametrize("numbers", [1, 33, 100])
def test_blocks__of_any_width_give_the_same(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], numbers: int
) -> None:
    monkeypatch.setattr(own, "_BLOCK", numbers)
    source = torch.Generator().manual_seed(3)
    x, y = (3 + torch.randn(shape, generator=source).double() for _ in range(2))
    x, y = x.requires_grad_(), (y / 2).requires_grad_()
    found, expected = own.vicreg(x, y).loss, published(x, y)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    slopes, known = (torch.autograd.grad(loss, (x, y)) for loss in (found, expected))
    torch.testing.assert_close(slopes, known, rtol=1e-10, atol=1e-12)


def test_backward__is_refused_a_second_time_as_its_rows_are_gone() -> None:
    x, y = branches(WIDE)
    found = own.vicreg(x, y).loss
    torch.autograd.grad(found, (x, y), retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(found, (x, y))


def test_weights__are_those_of_the_parts() -> None:
    x, y = branches(WIDE)
    found = own.vicreg(x, y, 3.0, 5.0, 7.0)
    expected = 3 * found.invariance + 5 * found.variance + 7 * found.covariance
    torch.testing.assert_close(found.loss, expected)


def test_collapse__costs_the_whole_variance_and_no_number_is_lost() -> None:
    x = torch.ones(4, 8, requires_grad=True)
    found = own.vicreg(x, x)
    assert found.variance.item() == pytest.approx(1 - 1e-2)
    found.loss.backward()
    assert x.grad is not None
    assert x.grad.eq(0).all()


def test_half_precision__is_computed_with_in_float32() -> None:
    x, y = (z.detach().float().requires_grad_() for z in branches(WIDE))
    with torch.autocast("cpu", torch.bfloat16):
        found = own.vicreg(x, y).loss
    torch.testing.assert_close(found, own.vicreg(x, y).loss)
    half = own.vicreg(x.bfloat16(), y.bfloat16())
    assert half.loss.dtype == torch.float32


def test_bad_shapes__are_refused() -> None:
    with pytest.raises(ValueError, match="a batch of two at least"):
        own.vicreg(torch.ones(1, 4), torch.ones(1, 4))
    with pytest.raises(ValueError, match="shapes"):
        own.vicreg(torch.ones(4, 4), torch.ones(3, 4))
