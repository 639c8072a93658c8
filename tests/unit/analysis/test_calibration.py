from __future__ import annotations

import numpy as np
import pytest

from hpctrain.analysis.calibration import (
    CalibrationSum,
    rank_histogram,
    spread_over_error,
    unevenness,
)


def draws(spread=1.0, bias=0.0, members=7, cells=40_000):
    """A truth and members about a mean that is common to both."""
    rng = np.random.default_rng(0)
    centre = rng.normal(size=cells) * 3
    truth = centre + rng.normal(size=cells)
    return truth, centre + bias + spread * rng.normal(size=(members, cells))


def test_exchangeable_members__give_equal_shares():
    truth, members = draws()
    shares = rank_histogram(truth, members)
    np.testing.assert_allclose(shares, 1 / 8, atol=0.006)
    assert unevenness(shares) < 0.03
    assert spread_over_error(truth, members) == pytest.approx(1, abs=0.01)


def test_too_little_spread__gives_a_u():
    truth, members = draws(spread=0.3)
    shares = rank_histogram(truth, members)
    assert min(shares[0], shares[-1]) > 2 * shares[1:-1].max()
    assert unevenness(shares) > 0.5
    assert spread_over_error(truth, members) < 0.5


def test_bias__gives_a_slope():
    shares = rank_histogram(*draws(bias=1.0))
    assert np.all(np.diff(shares) < 0)


def test_ties__are_shared_out():
    shares = rank_histogram(np.zeros(5), np.zeros((3, 5)))
    np.testing.assert_allclose(shares, 0.25)
    mixed = rank_histogram(np.array([0.0, 5.0]), np.array([[0.0, 1.0]] * 3))
    np.testing.assert_allclose(mixed, [1 / 8, 1 / 8, 1 / 8, 5 / 8])  # each cell counts once


def test_weights__count():
    truth, members = np.array([0.0, 10.0]), np.array([[1.0, 1.0]])
    np.testing.assert_allclose(rank_histogram(truth, members, np.array([3.0, 1.0])), [0.75, 0.25])


def test_unfit_shapes__are_refused():
    with pytest.raises(ValueError, match="members"):
        rank_histogram(np.zeros(5), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="two"):
        spread_over_error(np.zeros(5), np.zeros((1, 5)))


def test_sum_over_parts__is_that_of_the_whole():
    """Three channels, ties among them, cut into unequal parts; against plain formulas."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, size=(3, 4, 10)).astype(np.float32) + 1000
    members = rng.integers(0, 5, size=(6, 3, 4, 10)).astype(np.float32) + 1000
    weights = rng.uniform(1, 2, size=(4, 10))
    total = CalibrationSum(3, 6)
    for part in (slice(0, 3), slice(3, 10)):
        total.add(truth[..., part], iter(members[..., part]), weights[:, part])
    for c in range(3):
        expected = np.zeros(7)
        for cell in np.ndindex(4, 10):
            below = (members[(slice(None), c, *cell)] < truth[(c, *cell)]).sum()
            ties = (members[(slice(None), c, *cell)] == truth[(c, *cell)]).sum()
            expected[below : below + ties + 1] += weights[cell] / (ties + 1)
        np.testing.assert_allclose(total.rank_histograms()[c], expected / weights.sum())
        variance = np.average(members[:, c].var(0, ddof=1), weights=weights)
        error = np.average((members[:, c].mean(0) - truth[c]) ** 2, weights=weights)
        found = total.spreads_over_error()[c]
        assert found == pytest.approx(np.sqrt(variance * 7 / 6 / error), rel=1e-5)


def test_sum__of_another_number_of_members_is_refused():
    total = CalibrationSum(1, 2)
    with pytest.raises(ValueError, match="1 members of 2"):
        total.add(np.zeros((1, 3)), np.zeros((1, 1, 3)))
