"""The spectral loss against the formula."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from hpctrain.losses import spectral_loss
from hpctrain.losses.spectral import paired_spectral_loss


def test_spectral_loss__equals_the_formula() -> None:
    rng = np.random.default_rng(0)
    made, true = rng.standard_normal((2, 3, 2, 1, 8, 8))
    true = np.roll(true, 1, -1) + true
    k = np.fft.fftfreq(8, 1 / 8)
    bins = np.rint(np.hypot(k[:, None], k[None]) + 1e-9).astype(int)

    def log_power(fields: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.fft2(fields[:, :, 0])) ** 2 / 64
        means = [power[..., bins == b].mean(-1) for b in range(1, 5)]
        return np.log(np.mean(np.stack(means, -1), 0))

    expected = ((log_power(made) - log_power(true)) ** 2).mean()
    found = spectral_loss(torch.from_numpy(made), torch.from_numpy(true))
    assert float(found) == pytest.approx(expected, abs=1e-10)


def test_spectral_loss__draws_the_spectrum_and_not_the_sample() -> None:
    torch.manual_seed(0)
    true = torch.randn(8, 1, 1, 16, 16)
    assert float(spectral_loss(true.roll(5, -1).flip(0), true)) < 1e-9
    made = (0.3 * torch.randn(8, 1, 1, 16, 16)).requires_grad_()
    loss = spectral_loss(made, true)
    (slope,) = torch.autograd.grad(loss, made)
    assert float(spectral_loss((made - slope).detach(), true)) < float(loss.detach())
    assert float(spectral_loss(torch.zeros_like(true), true)) < 1e4  # no infinity


def test_spectral_loss__smallest_hushes_what_lies_below() -> None:
    torch.manual_seed(0)
    smooth = torch.randn(4, 1, 1, 16, 16).cumsum(3).cumsum(4)
    made = smooth + 1e-6 * float(smooth.std()) * torch.randn(smooth.shape)
    rough = torch.randn(smooth.shape)
    assert float(spectral_loss(smooth, smooth, smallest=1e-2)) == 0
    whole, hushed = (float(spectral_loss(rough, smooth, smallest=s)) for s in (1e-12, 1e-2))
    assert hushed < whole / 2
    assert float(spectral_loss(made, smooth, smallest=1e-2)) < 1e-6


def test_paired_spectral_loss__is_a_mean_over_samples() -> None:
    torch.manual_seed(0)
    made, true = torch.randn(2, 3, 2, 8, 8, 8)
    alone = [
        spectral_loss(made[i : i + 1], true[i : i + 1], is_periodic=False, smallest=1e-3)
        for i in range(3)
    ]
    found = paired_spectral_loss(made, true, is_periodic=False, smallest=1e-3, faint=0)
    torch.testing.assert_close(found, torch.stack(alone).mean())


@pytest.mark.parametrize("value", [0.0, 0.37])
def test_paired_spectral_loss__a_constant_truth_has_no_spectrum_to_meet(value: float) -> None:
    torch.manual_seed(0)
    made, true = torch.randn(2, 2, 1, 8, 8, 8).requires_grad_(), torch.randn(2, 1, 8, 8, 8)
    loss = partial(paired_spectral_loss, is_periodic=False, smallest=1e-6)
    each = [float(loss(made[0, i : i + 1], true[i : i + 1]).detach()) for i in range(2)]
    assert min(each) > 0.01
    true[1] = value
    for noise in (0.0, 1e-9, 1e-4, 1.0):
        found = loss(torch.stack((made[0, 0], value + noise * made[1, 0])), true)
        assert float(found.detach()) == pytest.approx(each[0] / 2)  # as with one rank for each
        (gradient,) = torch.autograd.grad(found, made)
        assert float(gradient[0, 0].norm()) > 1e-3
        assert float(gradient[1].norm()) == 0


@pytest.mark.parametrize("std", [0.1, 1e-2, 4e-3, 1e-3])
def test_paired_spectral_loss__gradients_of_weak_samples_are_bounded(std: float) -> None:
    torch.manual_seed(0)
    true = torch.randn(1, 1, 8, 8, 8).cumsum(-1).cumsum(-2).cumsum(-3)
    true /= true.std()
    loss = partial(paired_spectral_loss, is_periodic=False, smallest=1e-6)

    def steepest(truth: Tensor) -> float:
        found = []
        for power in range(-12, 0):
            made = (10 ** (power / 2) * torch.randn(1, 1, 8, 8, 8)).requires_grad_()
            (gradient,) = torch.autograd.grad(loss(made, truth), made)
            found.append(float(gradient.norm()))
        return max(found)

    assert steepest(std * true) < 3 * steepest(true)
