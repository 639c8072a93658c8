"""Losses of ink detection against their formulas, pixel by pixel in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from hpctrain.losses import ink

LOGITS = torch.tensor([[[0.3, -1.2], [2.0, 0.5]], [[-0.7, 1.4], [0.1, -3.0]]], dtype=torch.float64)
LABEL = torch.tensor([[[1, 0], [0.9, 0]], [[0, 0], [1, 0.05]]], dtype=torch.float64)
MASK = torch.tensor([[[1, 1], [1, 0]], [[0, 1], [1, 1]]], dtype=torch.bool)
ALL: dict[str, Callable[..., torch.Tensor]] = {
    "bce": ink.bce,
    "focal": ink.focal,
    "dice": ink.soft_f_beta,
    "f0.5": partial(ink.soft_f_beta, beta=0.5),
}


def valid() -> list[list[tuple[float, float]]]:
    """(probability, label) of the valid pixels, window by window."""
    found = []
    for window in zip(LOGITS.flatten(1), LABEL.flatten(1), MASK.flatten(1), strict=True):
        rows = zip(*(values.tolist() for values in window), strict=True)
        found.append([(1 / (1 + math.exp(-x)), y) for x, y, is_valid in rows if is_valid])
    return found


def entropy(p: float, y: float, weight: float) -> float:
    return float(-(weight * y * math.log(p) + (1 - y) * math.log(1 - p)))


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_entropies__equal_the_formulas(weight: float, gamma: float) -> None:
    pixels = [pixel for window in valid() for pixel in window]
    expected = sum(entropy(p, y, weight) * abs(y - p) ** gamma for p, y in pixels) / MASK.numel()
    found = ink.focal(LOGITS, LABEL, MASK, gamma, weight)
    assert float(found) == pytest.approx(expected, rel=1e-10)
    if gamma == 0:
        assert float(ink.bce(LOGITS, LABEL, MASK, weight)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_overlap__equals_the_formula(beta: float) -> None:
    losses = []
    for window in valid():
        true = sum(p * y for p, y in window)
        false = sum(p * (1 - y) for p, y in window)
        missed = sum((1 - p) * y for p, y in window)
        above = (1 + beta**2) * true + 1
        losses.append(1 - above / (above + beta**2 * missed + false))
    found = ink.soft_f_beta(LOGITS, LABEL, MASK, beta)
    assert float(found) == pytest.approx(sum(losses) / len(losses), rel=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_all__see_nothing_outside_the_mask(name: str) -> None:
    wrong = torch.where(MASK, LABEL, math.nan)
    moved = torch.where(MASK, LOGITS, 50.0).requires_grad_()
    loss = ALL[name](moved, wrong, MASK)
    assert loss.item() == pytest.approx(ALL[name](LOGITS, LABEL, MASK).item(), rel=1e-12)
    (slope,) = torch.autograd.grad(loss, moved)
    assert slope[~MASK].abs().max() == 0
    assert slope[MASK].abs().min() > 0


@pytest.mark.parametrize("name", ALL)
def test_all__of_halves_give_that_of_the_whole(name: str) -> None:
    halves = [ALL[name](LOGITS[i : i + 1], LABEL[i : i + 1], MASK[i : i + 1]) for i in (0, 1)]
    whole = ALL[name](LOGITS, LABEL, MASK)
    torch.testing.assert_close(sum(halves) / 2, whole, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ALL)
def test_all__are_finite_without_a_valid_pixel_and_for_wild_logits(name: str) -> None:
    wild = (400 * LOGITS).float().requires_grad_()
    nowhere = torch.zeros_like(MASK)
    assert ALL[name](wild, LABEL, nowhere).item() == 0
    loss = ALL[name](wild, LABEL, MASK)
    (slope,) = torch.autograd.grad(loss, wild)
    assert torch.isfinite(loss)
    assert torch.isfinite(slope).all()


def test_smoothing__draws_labels_to_the_middle() -> None:
    found = ink.smoothed(torch.tensor([0.0, 1.0]), 0.2)
    torch.testing.assert_close(found, torch.tensor([0.1, 0.9]))
