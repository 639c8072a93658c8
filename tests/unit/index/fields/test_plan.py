"""Grids of target and input together."""

import pytest

from hpctrain.errors import DataError
from hpctrain.index.fields.plan import group_of, plan_fields
from hpctrain.index.headers.file import read_header
from tests.unit.index.builders import box, sphere, write_boxes, write_sphere


def group(path, fields, is_input=False):
    return group_of([read_header(path)], fields, is_input)


def test_plan__block_means_need_no_input(tmp_path):
    fields = sphere(tmp_path, shells=(2, 8))
    target = group(write_sphere(tmp_path / "m.nc"), fields)
    plan = plan_fields(fields, 2, target, ())
    assert (plan.target.used[0], plan.coarse, plan.input) == ((2, 8), (3, 3, 8), None)


def test_plan__given_input_must_be_coarser_by_the_factor(tmp_path):
    fields = box(tmp_path, inputs=["lr/f*.npy"])
    target = group(write_boxes(tmp_path, 1, 16) / "f0000.npy", fields)
    coarse = group(write_boxes(tmp_path / "lr", 1, 8) / "f0000.npy", fields, is_input=True)
    assert plan_fields(fields, 2, target, (), coarse).coarse == (8, 8, 8)
    with pytest.raises(DataError, match=r"8 x 8 x 8 cells .*factor is 4, which asks for 4 x 4 x 4"):
        plan_fields(fields, 4, target, (), coarse)


def test_plan__title_says_that_it_is_scivis_data(tmp_path):
    fields = sphere(tmp_path)
    target = group(write_sphere(tmp_path / "m.nc", title="SciVis Contest 2021"), fields)
    assert plan_fields(fields, 2, target, ()).target.used[0] == (1, 7)


def test_plan__shells_and_grid_apply_to_inputs_too(tmp_path):
    fields = sphere(tmp_path, inputs=["lr/m*.nc"], shells=(2, 6), grid=(4, 4, 8), crop=(1, 1, 1))
    target = group(write_sphere(tmp_path / "m.nc"), fields)
    coarse = group(write_sphere(tmp_path / "lr.nc", (4, 3, 8)), fields, is_input=True)
    plan = plan_fields(fields, 2, target, (), coarse)
    assert (plan.input.used[0], plan.input.shape) == ((1, 3), (2, 2, 4))
