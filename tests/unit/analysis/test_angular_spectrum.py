from __future__ import annotations

import numpy as np
import pytest
from scipy.special import lpmv

from hpctrain.analysis.angular_spectrum import AngularSpectrum
from tests.unit.analysis.test_shells import CENTRES, CONTEST

GRIDS = [(CENTRES, 72), (CONTEST, 359), (np.linspace(-90, 90, 33), 20)]


def harmonic(latitudes, num_longitudes, degree, order, phase=0.3):
    """A real spherical harmonic of unit mean square, from scipy's Legendre functions."""
    x = np.sin(np.deg2rad(latitudes))[:, None]
    angle = 2 * np.pi * np.arange(num_longitudes) / num_longitudes
    field = lpmv(order, degree, x) * np.cos(order * angle + phase)
    nodes, weights = np.polynomial.legendre.leggauss(degree + 1)
    square = weights @ lpmv(order, degree, nodes) ** 2 / 2
    return field / np.sqrt(square * (np.cos(phase) ** 2 if order == 0 else 0.5))


@pytest.mark.parametrize(("latitudes", "num_longitudes"), GRIDS)
@pytest.mark.parametrize(("degree", "order"), [(1, 0), (3, 2), (7, 7), (9, 4)])
def test_harmonic__lies_in_its_own_degree(latitudes, num_longitudes, degree, order):
    spectrum = AngularSpectrum(latitudes, num_longitudes)
    power = spectrum.power(harmonic(latitudes, num_longitudes, degree, order))
    expected = (spectrum.degrees == degree).astype(float)
    np.testing.assert_allclose(power, expected, atol=1e-9)


def test_highest_degree__is_exact():
    spectrum = AngularSpectrum(CENTRES, 72)
    top = spectrum.max_degree
    assert top == 17
    power = spectrum.power(harmonic(CENTRES, 72, top, 5))
    np.testing.assert_allclose(power[-1], 1, atol=1e-9)
    np.testing.assert_allclose(power[:-1], 0, atol=1e-9)


def test_power__adds_up_to_the_variance():
    rng = np.random.default_rng(1)
    field, squares = np.zeros((36, 72)), 0.0
    for degree in range(1, 10):
        amplitude = rng.normal()
        field += amplitude * harmonic(CENTRES, 72, degree, degree // 2)
        squares += amplitude**2
    spectrum = AngularSpectrum(CENTRES, 72)
    assert spectrum.power(field + 40).sum() == pytest.approx(squares)
    stacked = spectrum.power(np.stack((field, 2 * field))[None])
    assert stacked.shape == (1, 2, 17)
    np.testing.assert_allclose(stacked[0, 1], 4 * stacked[0, 0])


def test_power__does_not_depend_on_where_longitude_begins():
    rng = np.random.default_rng(2)
    spectrum = AngularSpectrum(CENTRES, 72)
    field = rng.normal(size=(36, 72))
    rolled = spectrum.power(np.roll(field, 11, axis=1))
    np.testing.assert_allclose(rolled, spectrum.power(field))


def test_too_few_cells__are_refused():
    with pytest.raises(ValueError, match="too few"):
        AngularSpectrum(np.array([60.0, 0.0, -60.0]), 2)


def test_band__is_refused():
    with pytest.raises(ValueError, match="poles"):
        AngularSpectrum(CENTRES[4:-4], 72)
