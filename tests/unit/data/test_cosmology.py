"""Growth by integral against the closed form in hypergeometric functions."""

import numpy as np
import pytest
from scipy.special import hyp2f1

from hpctrain.data.cosmology import growth_factor, growth_rate, hubble


def closed_growth(z, om):
    a, lam = 1 / (1 + z), 1 - om

    def d(a):
        return a * hyp2f1(1, 1 / 3, 11 / 6, -lam * a**3 / om)

    return d(a) / d(1.0)


@pytest.mark.parametrize("om", [0.1, 0.2814, 0.31, 0.9, 1.0])
@pytest.mark.parametrize("z", [0.0, 0.5, 2.0, 10.0, 99.0])
def test_growth__equals_the_closed_form(z, om):
    assert growth_factor(z, om) == pytest.approx(closed_growth(z, om), rel=1e-10)
    step = 1e-5
    logs = [np.log(closed_growth((1 + z) * np.exp(-s) - 1, om)) for s in (-step, step)]
    assert growth_rate(z, om) == pytest.approx((logs[1] - logs[0]) / (2 * step), rel=1e-8)


def test_growth__of_a_universe_of_matter_is_the_scale_factor():
    assert growth_factor(3.0, 1.0) == pytest.approx(0.25, rel=1e-12)
    assert growth_rate(3.0, 1.0) == pytest.approx(1.0, rel=1e-12)
    assert hubble(3.0, 1.0) == pytest.approx(800.0, rel=1e-12)


def test_growth__rate_is_near_the_known_power_law():
    om_z = 0.31 * 8 / (0.31 * 8 + 0.69)
    assert growth_rate(1.0, 0.31) == pytest.approx(om_z**0.55, rel=0.005)
