"""The linear path is probabilistic principal component analysis, and layers only add to it."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from hpctrain.losses.vae import gaussian_nll, kl_divergence
from hpctrain.models.components import Components, principal_components
from hpctrain.models.linear_path import Refinement
from hpctrain.models.vae import Vae3d

SIZE = (4, 4, 8)
VOXELS = math.prod(SIZE)
LATENT = 6


def found() -> Components:
    own = torch.Generator().manual_seed(0)
    x = torch.randn(400, *SIZE, generator=own).cumsum(3)
    return principal_components(x, LATENT, (2,))


def network(block: str = "batch_norm") -> Vae3d:
    torch.manual_seed(0)
    made = Vae3d(SIZE, LATENT, 4, 2, block, has_linear_path=True, has_deviation=True)
    made.begin_with(found())
    return made


def volumes(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 1, *SIZE, generator=torch.Generator().manual_seed(1)).cumsum(4)


@torch.no_grad()
def test_start__has_the_evidence_as_its_bound() -> None:
    """Its posterior is the true one, so that bound and log-likelihood are equal (float64)."""
    vae, x, parts = network().double().eval(), volumes().double(), found()
    wide = (
        parts.vectors.flatten(1).double() * (parts.variances.double() - parts.rest).sqrt()[:, None]
    )
    covariance = wide.T @ wide + parts.rest * torch.eye(VOXELS).double()
    center = parts.center.flatten().double()
    expected = MultivariateNormal(center, covariance).log_prob(x.flatten(1)).mean()
    mean, log_variance = vae.encode(x)
    assert vae.deviation is not None
    # of noise that averages to what all noise does: sqrt(LATENT) along each axis, both ways
    axes = torch.cat((torch.eye(LATENT), -torch.eye(LATENT))).double() * math.sqrt(LATENT)
    nll = torch.stack(
        [
            gaussian_nll(vae.decode(mean + (0.5 * log_variance).exp() * e), x, vae.deviation)
            for e in axes
        ]
    ).mean()
    bound = -nll - kl_divergence(mean, log_variance)
    assert float(bound) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("block", ["plain", "batch_norm", "residual"])
def test_network__adds_nothing_at_first_and_then_learns_in_all_layers(block: str) -> None:
    vae, x, noise = network(block), volumes(), torch.randn(5, LATENT)
    optimizer = torch.optim.Adam([p for p in vae.parameters() if p.requires_grad], 1e-2)
    coded = vae(x)
    assert vae.linear is not None
    torch.testing.assert_close(coded.output, vae.linear.decode(coded.mean))
    before = {name: p.clone() for name, p in vae.named_parameters()}
    for _ in range(3):  # what begins with 0 lets the layers before it learn one step later
        optimizer.zero_grad()
        coded = vae(x, noise)
        assert vae.deviation is not None
        nll = gaussian_nll(coded.output, x, vae.deviation)
        (nll + kl_divergence(coded.mean, coded.log_variance)).backward()
        optimizer.step()
    same = {name for name, p in vae.named_parameters() if torch.equal(p, before[name])}
    assert same == {f"linear.{name}" for name in ("center", "vectors", "variances", "rest")}
    assert (coded.mean != vae.linear.posterior(x).mean).any()


def test_linear_path__is_of_float32_in_lower_precision() -> None:
    vae, x = network().eval(), volumes()
    with torch.autocast("cpu", torch.bfloat16):
        coded = vae(x)
    torch.testing.assert_close(coded.output, vae(x).output, atol=1e-4, rtol=1e-4)
    assert coded.output.dtype == torch.float32


def test_volumes__without_noise_have_a_posterior() -> None:
    x = torch.randn(50, 2, 1, 1, 1) * torch.ones(1, 1, *SIZE)
    flat = (x[:, 0] * torch.arange(8) + x[:, 1]).contiguous()
    vae = Vae3d(SIZE, 6, 4, 2, has_linear_path=True, has_deviation=True).eval()
    vae.begin_with(principal_components(flat.clone(), 6))
    coded = vae(flat[:, None], torch.randn(50, 6))
    assert all(torch.isfinite(part).all() for part in coded)
    torch.testing.assert_close(vae(flat[:, None]).output[:, 0], flat, atol=1e-2, rtol=1e-2)


def test_refinement__keeps_voxels_in_their_places() -> None:
    """A convolution that copies each cell gives the volume once more."""
    refinement = Refinement(8, 0)
    with torch.no_grad():
        for layer in (refinement.first, refinement.last):
            layer.bias.zero_()
            torch.nn.init.dirac_(layer.weight)
    x = torch.rand(2, 1, 4, 6, 8)
    torch.testing.assert_close(refinement(x), 2 * x)
