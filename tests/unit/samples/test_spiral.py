"""The way onto the roll and the way back, derived apart from each other, meet."""

import numpy as np
import pytest

from hpctrain.samples.spiral import INNER, PITCH, Spiral, Unroller, roll_up


@pytest.fixture(scope="module")
def spiral():
    return roll_up(40, 700, seed=1)


def test_angle__is_that_of_the_arc():
    angle = Spiral(1, 1, np.zeros((1, 1)), (1, 1), (0, 0)).angle(np.array([0.0, 900.0]))
    steps = np.linspace(0, angle[1], 20_000)
    radius = INNER + PITCH * steps / (2 * np.pi)
    arc = np.hypot(np.diff(radius * np.cos(steps)), np.diff(radius * np.sin(steps))).sum()
    assert angle[0] == 0
    assert arc == pytest.approx(900, rel=3e-3)


def test_recto__columns_are_about_a_voxel_apart(spiral):
    places, _ = spiral.recto(7)
    steps = np.hypot(*np.diff(places))
    assert steps.mean() == pytest.approx(1, abs=0.05)
    assert 0.8 < steps.min() < steps.max() < 1.2


def test_recto__normals_point_to_the_axis(spiral):
    places, normals = spiral.recto(7)
    np.testing.assert_allclose(np.hypot(*normals), 1)
    to_axis = np.array(spiral.axis)[:, None] - places
    assert ((normals * to_axis).sum(0) / np.hypot(*to_axis)).min() > 0.9
    along = np.diff(places)
    assert abs((normals[:, 1:] * along).sum(0)).max() < 0.05


def test_recto__fits_into_the_slice_with_air_around(spiral):
    for row in (0, 39):
        places, normals = spiral.recto(row)
        outside = places - 32 * normals
        assert outside.min() >= 0
        assert (outside.max(1) <= np.array(spiral.shape) - 1).all()


def test_roll_up__slices_are_no_square_around_the_axis(spiral):
    assert spiral.shape[0] != spiral.shape[1]
    middle = (np.array(spiral.shape) - 1) / 2
    assert abs(np.array(spiral.axis) - middle).max() > 1


@pytest.mark.parametrize("depth", [-3, 0, 6, 11])
def test_sheet_at__finds_what_was_rolled_up(spiral, depth):
    row = 20
    places, column, found = Unroller(spiral).sheet_at(row)
    columns, depths = np.full(spiral.shape, -1), np.full(spiral.shape, np.nan)
    columns.flat[places], depths.flat[places] = column, found
    rectos, normals = spiral.recto(row)
    at = np.rint(rectos - depth * normals).astype(int)
    assert abs(columns[tuple(at)] - np.arange(700))[3:-3].max() <= 4
    wrong = depths[tuple(at)][3:-3] - depth
    # Rounding to a voxel, and what the oval stretches the sheet's thickness by.
    assert abs(wrong).max() < 0.75 + 0.15 * abs(depth)
    assert abs(wrong.mean()) < 0.05 + 0.02 * abs(depth)
