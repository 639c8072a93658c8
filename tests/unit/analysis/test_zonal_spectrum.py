from __future__ import annotations

import numpy as np
import pytest

from hpctrain.analysis.shells import area_weights
from hpctrain.analysis.zonal_spectrum import zonal_spectrum

BAND = np.linspace(59, -59, 32)
ANGLE = 2 * np.pi * np.arange(64) / 64


@pytest.mark.parametrize(("wave", "power"), [(1, 0.5), (9, 0.5), (31, 0.5), (32, 1.0)])
def test_wave__lies_in_its_own_number(wave, power):
    field = np.broadcast_to(np.cos(wave * ANGLE), (2, 32, 64)) + 3
    found = zonal_spectrum(field, area_weights(BAND))
    expected = np.zeros(32)
    expected[wave - 1] = power
    np.testing.assert_allclose(found, [expected, expected], atol=1e-12)


def test_power__adds_up_to_the_weighted_variance_of_the_rows():
    field = np.random.default_rng(0).normal(size=(32, 64))
    weights = area_weights(BAND)
    variances = field.var(-1)
    assert zonal_spectrum(field, weights).sum() == pytest.approx(weights @ variances)
    assert zonal_spectrum(field, weights).sum() != pytest.approx(variances.mean(), rel=1e-6)
