import pytest
import torch

from hpctrain.losses.gradient_penalty import r1, wgan_gp

SHAPE = (3, 2, 2, 3, 4)


@pytest.fixture
def fields():
    torch.manual_seed(1)
    return torch.randn(SHAPE), torch.randn(SHAPE), torch.rand(3, 1, 1, 1, 1)


def test_wgan_gp__linear_critic_has_a_known_slope(fields):
    weight = torch.randn(SHAPE[1:])

    def critic(x):
        return (x * weight).flatten(1).sum(1, keepdim=True)

    expected = (weight.norm() - 1) ** 2
    torch.testing.assert_close(wgan_gp(critic, *fields), expected)


def test_wgan_gp__score_maps_count_as_their_mean(fields):
    def critic(x):
        return 5 * x

    # The mean of n scores 5 x_i has the slope 5 / n in each, so its norm is 5 / sqrt(n).
    n = torch.tensor(float(torch.tensor(SHAPE[1:]).prod()))
    torch.testing.assert_close(wgan_gp(critic, *fields), (5 / n.sqrt() - 1) ** 2)


def test_wgan_gp__each_sample_at_its_own_mixture(fields):
    real, fake, mix = fields

    def critic(x):
        return x.square().flatten(1).sum(1) / 2  # slope x

    between = mix * real + (1 - mix) * fake
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(wgan_gp(critic, real, fake, mix), expected)


def test_r1__half_the_squared_slope_at_real(fields):
    real = fields[0]
    expected = real.square().flatten(1).sum(1).mean() / 2
    torch.testing.assert_close(r1(lambda x: x.square().flatten(1).sum(1) / 2, real), expected)


@pytest.mark.parametrize("penalty", ["wgan_gp", "r1"])
def test_penalty__derivative_by_finite_differences(fields, penalty):
    real, fake, mix = (f.double() for f in fields)
    w = torch.randn(SHAPE[1:], dtype=torch.double, requires_grad=True)

    def value():
        def critic(x):
            return torch.tanh(x.double() * w).flatten(1).sum(1) / 3

        return (
            wgan_gp(critic, real, fake, mix) if penalty == "wgan_gp" else r1(critic, real)
        ).double()

    (gradient,) = torch.autograd.grad(value(), w)
    direction, step = torch.randn_like(w), 1e-3
    with torch.no_grad():
        w += step * direction
    above = value().item()
    with torch.no_grad():
        w -= 2 * step * direction
    below = value().item()
    slope = (gradient * direction).sum().item()
    assert (above - below) / (2 * step) == pytest.approx(slope, rel=2e-3)


def test_penalty__flat_critic_gives_no_nan(fields):
    layer = torch.nn.Conv3d(2, 1, 1)
    torch.nn.init.zeros_(layer.weight)
    loss = wgan_gp(layer, *fields)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert torch.isfinite(layer.weight.grad).all()


def test_penalty__does_not_reach_the_generator(fields):
    real, fake, mix = fields
    fake.requires_grad_()
    layer = torch.nn.Conv3d(2, 1, 2)
    (wgan_gp(layer, real, fake, mix) + r1(layer, real)).backward()
    assert fake.grad is None
    assert not real.requires_grad
    assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("penalty", ["wgan_gp", "r1"])
def test_penalty__value_and_gradients_equal_the_formula(penalty):
    """For scores v tanh(W x), whose slope along x is W' (v (1 - tanh(W x)^2)), in float64."""
    torch.manual_seed(2)
    real, fake = torch.randn(2, 3, 12, dtype=torch.double)
    mix = torch.rand(3, 1, dtype=torch.double)
    weights = [torch.randn(5, 12, dtype=torch.double), torch.randn(5, dtype=torch.double)]
    w, v = (p.requires_grad_() for p in weights)
    x = mix * real + (1 - mix) * fake if penalty == "wgan_gp" else real
    slope = ((1 - torch.tanh(x @ w.T) ** 2) * v) @ w
    square = (slope**2).sum(1)
    expected = ((square**0.5 - 1) ** 2).mean() if penalty == "wgan_gp" else square.mean() / 2

    def critic(x):
        return torch.tanh(x @ w.T) @ v

    found = wgan_gp(critic, real, fake, mix) if penalty == "wgan_gp" else r1(critic, real)
    exact = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(found, expected, **exact)
    gradients = (torch.autograd.grad(loss, (w, v)) for loss in (found, expected))
    torch.testing.assert_close(*gradients, **exact)
