"""Growth against its differential equation, power against other formulas and quadrature."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from hpctrain.samples.cosmology import Cosmology

COSMOLOGIES = [
    Cosmology(0.2, 0.6, 0.9, 60.0),
    Cosmology(0.3, 0.8, 0.96, 70.0),
    Cosmology(0.39, 1.0, 1.05, 84.0),
]


def growth_by_its_equation(omega_m, a):
    """D and dlnD/dlna from D'' + (2 + dlnE/dlna) D' = 1.5 Omega_m(a) D in ln a."""

    def slope(log_a, state):
        matter = omega_m * np.exp(-3 * log_a)
        share = matter / (matter + 1 - omega_m)
        return [state[1], 1.5 * share * state[0] - (2 - 1.5 * share) * state[1]]

    start = np.log(1e-4)
    found = solve_ivp(slope, (start, 0), [1e-4, 1e-4], rtol=1e-9, atol=1e-14, dense_output=True)
    (now, _), (then, change) = found.sol(0.0), found.sol(np.log(a))
    return then / now, change / then


@pytest.mark.parametrize("cosmology", COSMOLOGIES)
@pytest.mark.parametrize("a", [0.1, 0.4, 0.9, 1.0])
def test_growth__solves_its_equation(cosmology, a):
    growth, rate = growth_by_its_equation(cosmology.omega_m, a)
    assert cosmology.growth(a) == pytest.approx(growth, rel=1e-5)
    assert cosmology.growth_rate(a) == pytest.approx(rate, rel=1e-5)


def test_growth__without_dark_energy_is_the_scale_factor():
    assert Cosmology(1.0, 0.8, 0.96, 70.0).growth(0.3) == pytest.approx(0.3, rel=1e-9)


@pytest.mark.parametrize("cosmology", COSMOLOGIES)
def test_power__has_the_given_sigma_8(cosmology):
    def variance(log_k):
        k = np.exp(log_k)
        ball = 3 * (np.sin(8 * k) - 8 * k * np.cos(8 * k)) / (8 * k) ** 3
        return k**3 * float(cosmology.power(k)) * ball**2 / (2 * np.pi**2)

    found, _ = quad(variance, np.log(1e-5), np.log(20.0), limit=500)
    assert found**0.5 == pytest.approx(cosmology.sigma_8, rel=2e-3)


def test_power__slope_of_large_scales():
    low, high = Cosmology(0.3, 0.8, 0.93, 70.0).power([1e-5, 2e-5])
    assert np.log2(high / low) == pytest.approx(0.93, abs=2e-3)


def test_power__nothing_at_zero():
    assert Cosmology(0.3, 0.8, 0.93, 70.0).power([0.0, 0.1])[0] == 0


@pytest.mark.parametrize("cosmology", COSMOLOGIES[1:])
def test_transfer__agrees_with_older_fit(cosmology):
    """Bardeen et al. 1986 with the baryons' share of Sugiyama 1995: good to about 10 %."""
    k, h = np.geomspace(0.01, 5, 40), cosmology.h_0 / 100
    baryons = 0.0224 / h**2
    gamma = cosmology.omega_m * h
    gamma *= np.exp(-baryons * (1 + np.sqrt(2 * h) / cosmology.omega_m))
    q = k / gamma
    rest = 1 + 3.89 * q + (16.1 * q) ** 2 + (5.46 * q) ** 3 + (6.71 * q) ** 4
    older = np.log(1 + 2.34 * q) / (2.34 * q) * rest ** (-0.25)
    np.testing.assert_allclose(cosmology.transfer(k), older, rtol=0.12)
