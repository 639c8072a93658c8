"""Folding, slicing, interpolating, turning."""

import numpy as np
import pytest

from hpctrain.data.geometry import Axis, resampled_axis, rotate_longitude, runs, wrap

PAD = {"periodic": "wrap", "mirror": "symmetric", "replicate": "edge"}


@pytest.mark.parametrize("mode", PAD)
@pytest.mark.parametrize("halo", [0, 1, 3, 7])
def test_wrap__equals_numpy_padding(mode, halo):
    cells = wrap(np.arange(-halo, 5 + halo), 5, mode)
    np.testing.assert_array_equal(cells, np.pad(np.arange(5), halo, PAD[mode]))


@pytest.mark.parametrize("mode", PAD)
def test_runs__give_back_the_cells_in_few_slices(mode):
    values = np.arange(100, 112)
    for start in range(-5, 12):
        cells = wrap(np.arange(start, start + 9), 12, mode)
        parts = runs(cells)
        out = np.full(9, -1)
        for to, source in parts:
            out[to] = values[source]
        np.testing.assert_array_equal(out, values[cells])
        assert len(parts) <= 3


def test_axis__plan_counts_from_the_first_used_cell():
    plan = Axis(size=6, mode="periodic", first=2, source=6).plan(4, 3, halo=1)
    assert plan.cells.tolist() == [5, 6, 7, 2, 3]
    assert plan.runs == ((slice(0, 3), slice(5, 8)), (slice(3, 5), slice(2, 4)))


def interpolated(axis, values, start, length):
    plan = axis.plan(start, length)
    buffer = values[plan.cells].astype(np.float32)[None, :, None, None]
    if plan.interpolation is not None:
        buffer = plan.interpolation.apply(buffer, 1)
    return buffer.ravel(), len(plan.cells)


@pytest.mark.parametrize("falling", [False, True])
def test_resampled__linear_field_on_uneven_cells_is_exact(falling):
    lat = np.array([90, 89.5, 88, 60, 10, -20, -85, -90.0])
    lat = lat if falling else lat[::-1]
    axis = resampled_axis(5, "mirror", 0, lat, None, 90.0)
    expected = (np.arange(5) + 0.5) * 36 - 90
    np.testing.assert_allclose(axis.coordinates, expected[::-1] if falling else expected)
    found, _ = interpolated(axis, 3 * lat + 1, 0, 5)
    np.testing.assert_allclose(found, 3 * axis.coordinates + 1, rtol=1e-5)


def test_resampled__only_the_cells_needed_are_read():
    axis = resampled_axis(10, "replicate", 3, np.arange(40.0), None)
    found, num_read = interpolated(axis, np.arange(50.0) - 3, 2, 3)
    np.testing.assert_allclose(found, axis.coordinates[2:5])
    assert num_read <= 10


def test_resampled__longitude_is_interpolated_across_the_seam():
    lon = np.arange(12) * 30.0
    axis = resampled_axis(9, "periodic", 0, lon, 360.0)
    values = np.cos(np.radians(lon))
    whole, _ = interpolated(axis, values, 0, 9)
    extended = np.interp(axis.coordinates, np.append(lon - 360, lon), np.tile(values, 2))
    np.testing.assert_allclose(whole, extended, atol=1e-6)
    for start in range(9):
        part, _ = interpolated(axis, values, start, 7)
        np.testing.assert_allclose(part, np.roll(whole, -start)[:7], atol=1e-6)


def test_resampled__same_even_grid_is_read_as_it_is():
    axis = resampled_axis(8, "mirror", 0, 90 - (np.arange(8) + 0.5) * 22.5, None, 90.0)
    assert axis.lower is None
    with pytest.raises(ValueError, match="no halo"):
        resampled_axis(7, "periodic", 0, np.arange(8) * 45.0, 360.0).plan(0, 2, halo=1)


def test_resampled__single_cell_is_repeated():
    axis = resampled_axis(3, "replicate", 0, np.array([5.0]), None)
    assert interpolated(axis, np.array([7.0]), 0, 3)[0].tolist() == [7, 7, 7]


def test_rotate__back_is_identity_and_other_channels_stay():
    x = np.random.default_rng(0).standard_normal((4, 2, 3, 5)).astype(np.float32)
    y = x.copy()
    rotate_longitude(y, 0.7, (1, 2))
    np.testing.assert_array_equal(y[[0, 3]], x[[0, 3]])
    np.testing.assert_allclose(y[1], x[1] * np.cos(0.7) - x[2] * np.sin(0.7), atol=1e-6)
    rotate_longitude(y, -0.7, (1, 2))
    np.testing.assert_allclose(y, x, atol=1e-6)
