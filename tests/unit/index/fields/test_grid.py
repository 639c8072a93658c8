"""Cells used, and whether samples fit."""

import pytest

from hpctrain.errors import DataError
from hpctrain.index.fields.grid import check_crop, coarse_options, coarse_shape, plan_grid


def circle(count, repeated=False):
    step = 360 / (count - 1 if repeated else count)
    return [i * step for i in range(count)]


def test_shells__scivis_drops_the_corrupt_first_and_last():
    grid = plan_grid("m.nc", "sphere", (201, 180, 360))
    assert (grid.used[0], grid.shape) == ((1, 200), (199, 180, 360))
    assert "corrupt" in grid.notes[0]
    assert plan_grid("m.nc", "sphere", (33, 4, 8), title="SciVis Contest 2021").used[0] == (1, 32)


def test_shells__of_other_data_are_all_used():
    title = "convection, in the layout of the SciVis contest 2021"
    assert plan_grid("m.nc", "sphere", (32, 4, 8), title=title).used[0] == (0, 32)


def test_shells__asked_for_are_taken_as_they_are():
    assert plan_grid("m.nc", "sphere", (201, 4, 8), shells=(0, 201)).used[0] == (0, 201)
    with pytest.raises(DataError, match=r"m\.nc: data\.shells \[4, 40\] of a file with 33 shells"):
        plan_grid("m.nc", "sphere", (33, 4, 8), shells=(4, 40))
    with pytest.raises(DataError, match="a box has no shells"):
        plan_grid("m.nc", "box", (33, 4, 8), shells=(0, 2))


def test_meridian__repeated_column_is_dropped():
    grid = plan_grid("m.nc", "sphere", (8, 4, 9), longitudes=circle(9, repeated=True))
    assert grid.used[2] == (0, 8)
    assert "longitude 360 repeats 0" in grid.notes[0]
    assert plan_grid("m.nc", "sphere", (8, 4, 8), longitudes=circle(8)).used[2] == (0, 8)


def test_meridian__part_of_the_circle_is_refused():
    with pytest.raises(DataError, match="longitude runs from 0 to 70 degrees"):
        plan_grid("m.nc", "sphere", (8, 4, 8), longitudes=[10.0 * i for i in range(8)])


def test_division__error_names_axes_and_ways_out():
    grid = plan_grid("m.nc", "sphere", (201, 180, 360))
    with pytest.raises(DataError, match=r"r 199 does not divide by upscale_factor 4.*\[1, 197\]"):
        coarse_shape("m.nc", grid, 4)
    grid = plan_grid("m.nc", "sphere", (201, 180, 360), longitudes=circle(360, repeated=True))
    with pytest.raises(DataError, match=r"do: data\.grid: \[192, 176, 352\]$"):
        coarse_shape("m.nc", grid, 16)


def test_division__resampled_grid_counts():
    grid = plan_grid("m.nc", "sphere", (201, 180, 360), grid=(192, 176, 352))
    assert coarse_shape("m.nc", grid, 16) == (12, 11, 22)


def test_crop__larger_than_the_field_is_refused():
    grid = plan_grid("m.nc", "box", (16, 16, 16))
    with pytest.raises(
        DataError, match=r"crop \[4, 9, 12\].*y 9 \(at most 8\), z 12 \(at most 8\)"
    ):
        check_crop("m.nc", grid, (8, 8, 8), (4, 9, 12), "crop")
    check_crop("m.nc", grid, (8, 8, 8), (8, 8, 8), "crop")


def test_inputs__options_are_divided_for_them():
    assert coarse_options((4, 12), (8, 16, 32), 4) == ((1, 3), (2, 4, 8))
    assert coarse_options(None, None, 4) == (None, None)
    with pytest.raises(DataError, match=r"data\.shells: \[4, 13\] does not divide"):
        coarse_options((4, 13), None, 4)
