"""The spectral loss against the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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
    found = paired_spectral_loss(made, true, is_periodic=False, smallest=1e-3)
    torch.testing.assert_close(found, torch.stack(alone).mean())
