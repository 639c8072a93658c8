"""The parts of the evidence lower bound against closed forms and quadrature, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from hpctrain.losses import vae
from hpctrain.models.vae import reparameterise

EXACT = {"rtol": 1e-10, "atol": 1e-12}


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def test_kl__is_that_of_torch_distributions() -> None:
    mean, log_variance = draws(5, 7), 2 * draws(5, 7, seed=1)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(vae.kl_by_number(mean, log_variance), expected, **EXACT)
    whole = vae.kl_divergence(mean, log_variance)
    torch.testing.assert_close(whole, expected.sum(1).mean(), **EXACT)


def test_kl__is_the_integral() -> None:
    """The integral of q ln(q / p) by the trapezoidal rule, exact to rounding for such tails."""
    x = np.linspace(-16, 16, 20001)
    for mean, log_variance in ((0.0, 0.0), (1.3, -1.1), (-0.4, 0.9)):
        q = np.exp(-((x - mean) ** 2) / (2 * math.exp(log_variance)))
        q /= math.sqrt(2 * math.pi * math.exp(log_variance))
        log_ratio = -0.5 * ((x - mean) ** 2 / math.exp(log_variance) + log_variance - x**2)
        expected = float((q * log_ratio).sum() * (x[1] - x[0]))
        found = vae.kl_by_number(*torch.tensor([[[mean]], [[log_variance]]], dtype=torch.float64))
        assert float(found) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_kl__keeps_its_digits_near_the_prior() -> None:
    """Where exp(v) - 1 - v would be rounding: v^2 / 2 is left, and never less than nothing."""
    tiny = torch.tensor([[1e-6]], dtype=torch.float64)
    found = vae.kl_by_number(torch.zeros(1, 1, dtype=torch.float64), tiny)
    assert float(found) == pytest.approx(0.25e-12, rel=1e-3)


def test_kl__free_bits_cost_nothing() -> None:
    mean = torch.tensor([[2.0, 0.1]], dtype=torch.float64, requires_grad=True)
    loss = vae.kl_divergence(mean, torch.zeros_like(mean), free_bits=0.5)
    assert loss.item() == pytest.approx(2.0 + 0.5, rel=1e-12)
    (slope,) = torch.autograd.grad(loss, mean)
    torch.testing.assert_close(slope, torch.tensor([[2.0, 0.0]], dtype=torch.float64))


def test_likelihoods__are_those_of_torch_distributions() -> None:
    output, target = draws(3, 1, 2, 2, 2), draws(3, 1, 2, 2, 2, seed=1)
    normal = -Normal(output, 0.3).log_prob(target).flatten(1).sum(1).mean()
    torch.testing.assert_close(vae.gaussian_nll(output, target, 0.3), normal, **EXACT)
    share = torch.sigmoid(target)
    binary = -Bernoulli(logits=output, validate_args=False).log_prob(share).flatten(1).sum(1).mean()
    torch.testing.assert_close(vae.bernoulli_nll(output, share), binary, **EXACT)


def test_gaussian__learned_deviation_is_least_at_the_error() -> None:
    output, target = draws(3, 1, 4, 4, 4), draws(3, 1, 4, 4, 4, seed=1)
    deviation = (output - target).square().mean().sqrt().requires_grad_()
    (slope,) = torch.autograd.grad(vae.gaussian_nll(output, target, deviation), deviation)
    assert abs(float(slope)) < 1e-9
    assert vae.gaussian_nll(output, target, 1.1 * deviation) > vae.gaussian_nll(
        output, target, deviation
    )


def test_reparameterisation__gradient_is_the_finite_difference() -> None:
    """d/d(mean, log-variance) of a curved function of the latent numbers, by central steps."""
    start, noise = draws(2, 3, 4), draws(3, 4, seed=1)

    def loss(numbers: torch.Tensor) -> torch.Tensor:
        mean, log_variance = numbers
        latent = reparameterise(mean, log_variance, noise)
        return (latent.sin() * latent.square()).sum() + vae.kl_divergence(mean, log_variance)

    numbers = start.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(numbers), numbers)
    step = 1e-4
    for i in np.ndindex(*start.shape):
        away = torch.zeros_like(start)
        away[i] = step
        # the five-point rule errs by the fifth derivative times step^4 / 30
        near = (loss(start + away) - loss(start - away)) / (2 * step)
        far = (loss(start + 2 * away) - loss(start - 2 * away)) / (4 * step)
        assert float(slope[i]) == pytest.approx(float((4 * near - far) / 3), rel=1e-9, abs=1e-9)


def test_reparameterisation__draws_the_posterior() -> None:
    mean, log_variance = torch.tensor([1.5]), torch.tensor([-0.8])
    drawn = reparameterise(mean, log_variance, draws(200_000, seed=2).float())
    assert float(drawn.mean()) == pytest.approx(1.5, abs=0.01)
    assert float(drawn.var()) == pytest.approx(math.exp(-0.8), rel=0.02)


def test_losses__of_halves_give_that_of_the_whole() -> None:
    mean, log_variance = draws(4, 6), draws(4, 6, seed=1)
    for loss in (vae.kl_divergence, vae.gaussian_nll, lambda a, b: vae.kl_divergence(a, b, 0.3)):
        halves = [loss(mean[rows], log_variance[rows]) for rows in (slice(0, 2), slice(2, 4))]
        torch.testing.assert_close(sum(halves) / 2, loss(mean, log_variance), **EXACT)


def test_kl_weight__rises_to_its_value() -> None:
    found = [vae.kl_weight(step, 4, 2.0) for step in (0, 1, 4, 9)]
    assert found == [0.0, 0.5, 2.0, 2.0]
    assert vae.kl_weight(0, 0) == 1.0
