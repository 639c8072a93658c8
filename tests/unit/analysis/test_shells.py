from __future__ import annotations

import numpy as np
import pytest

from hpctrain.analysis.shells import (
    area_weights,
    reaches_poles,
    shell_correlation,
    shell_deviation,
    shell_rmse,
)

CENTRES = np.linspace(90, -90, 37)[:-1] - 2.5
CONTEST = np.concatenate(([90.0], 90 - 0.5056 - 1.01124 * np.arange(178), [-90.0]))
"""Latitudes of the SciVis contest 2021: both poles, half a step beside them."""


@pytest.mark.parametrize("latitudes", [CENTRES, CENTRES[::-1], CONTEST])
def test_areas__are_those_of_the_sphere(latitudes):
    weights = area_weights(latitudes)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() > 0
    # the mean of sin^2(latitude) over the sphere is 1/3
    assert weights @ np.sin(np.deg2rad(latitudes)) ** 2 == pytest.approx(1 / 3, abs=1e-3)


def test_areas__of_a_band_are_shares_of_the_band():
    band = CENTRES[6:-6]
    weights = area_weights(band)
    faces = np.sin(np.deg2rad(np.linspace(60, -60, 25)))
    np.testing.assert_allclose(weights, -np.diff(faces) / (faces[0] - faces[-1]))
    assert not reaches_poles(band)
    assert reaches_poles(CENTRES)
    assert reaches_poles(CONTEST)


@pytest.mark.parametrize("latitudes", [[0.0, 2.0, 1.0], [0.0]])
def test_areas__of_rows_in_no_order_are_refused(latitudes):
    with pytest.raises(ValueError, match="latitudes"):
        area_weights(np.asarray(latitudes))


def test_rmse__counts_rows_by_area():
    weights = area_weights(CENTRES)
    truth = np.zeros((1, 2, 36, 8))
    field = truth.copy()
    field[0, 1, 0] = 3.0  # a row at the pole
    found = shell_rmse(field, truth, weights)
    assert found[0, 0] == 0
    assert found[0, 1] == pytest.approx(3 * np.sqrt(weights[0]))
    assert shell_rmse(field, truth)[0, 1] == pytest.approx(3 / 6)


def test_correlation__is_blind_to_scale_and_shift():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2, 3, 36, 8))
    weights = area_weights(CENTRES)
    np.testing.assert_allclose(shell_correlation(5 * truth + 7, truth, weights), 1)
    np.testing.assert_allclose(shell_correlation(-truth, truth, weights), -1)
    other = rng.normal(size=truth.shape)
    half = shell_correlation(truth + other, truth)
    np.testing.assert_allclose(half, np.sqrt(0.5), atol=0.08)


def test_correlation__with_a_constant_is_unknown():
    truth = np.random.default_rng(0).normal(size=(1, 1, 36, 8))
    assert np.isnan(shell_correlation(np.ones_like(truth), truth)).all()


def test_deviation__of_a_harmonic():
    field = np.broadcast_to(np.sin(np.deg2rad(CENTRES))[:, None], (1, 1, 36, 8))
    deviation = shell_deviation(field, area_weights(CENTRES))
    assert deviation[0, 0] == pytest.approx(np.sqrt(1 / 3), rel=1e-3)
