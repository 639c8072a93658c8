"""Normalisation and its measurement."""

import json
import logging

import numpy as np
import pytest
import torch

from hpctrain.data import Scales
from hpctrain.data.geometry import rotate_longitude
from hpctrain.data.scales import vectors_of
from hpctrain.errors import DataError

from .builders import box, dataset, random_values, sphere, write_boxes, write_netcdf3, write_spheres

SCALES = Scales(("T", "v"), (1500.0, 0.0), (700.0, 3e-9))


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("lead", [(), (3,)])
def test_scales__normalize_and_back(make, lead):
    x = make(np.random.default_rng(0).normal(1e3, 300, (*lead, 2, 4, 4, 4)).astype(np.float32))
    y = SCALES.normalize(x)
    np.testing.assert_allclose(y[..., 0, :, :, :], (x[..., 0, :, :, :] - 1500) / 700, rtol=1e-4)
    np.testing.assert_allclose(SCALES.denormalize(y), x, rtol=1e-5, atol=1e-3)


def test_scales__in_place_equals_the_function():
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 4)).astype(np.float32)
    expected = SCALES.normalize(x)
    SCALES.normalize_(x)
    np.testing.assert_allclose(x, expected, rtol=1e-6)


def test_scales__survive_json():
    with_inputs = Scales(*SCALES.__dict__.values())
    with_inputs = Scales(SCALES.names, SCALES.shift, SCALES.scale, Scales(("a",), (1.0,), (2.0,)))
    for scales in (SCALES, with_inputs):
        again = Scales.from_dict(json.loads(json.dumps(scales.to_dict())))
        assert again == scales
        assert again.for_inputs.names == (("a",) if scales.inputs else SCALES.names)


def test_measure__standard_is_mean_and_deviation_of_training_files(tmp_path):
    values = np.stack(write_spheres(tmp_path, 4))[:3].astype(np.float64)
    scales = dataset(sphere(tmp_path, normalization="standard")).measure_scales()
    assert scales.names == ("temperature", "vx", "vy", "vz")
    np.testing.assert_allclose(scales.shift[0], values[:, 0].mean(), rtol=1e-5)
    np.testing.assert_allclose(scales.scale[0], values[:, 0].std(), rtol=1e-5)
    assert scales.shift[1:] == (0, 0, 0)
    np.testing.assert_allclose(scales.scale[1:], np.sqrt((values[:, 1:] ** 2).mean()), rtol=1e-5)


def test_measure__minmax_maps_to_minus_one_and_one(tmp_path):
    values = np.stack(write_spheres(tmp_path, 3))[:2]
    data = dataset(sphere(tmp_path, normalization="minmax"))
    y = data.measure_scales().normalize(values)
    assert (y[:, 0].min(), y[:, 0].max()) == pytest.approx((-1, 1))
    assert abs(y[:, 1:]).max() == pytest.approx(1)


def test_measure__slabs_of_any_size_give_the_same(tmp_path, monkeypatch):
    write_spheres(tmp_path)
    data = dataset(sphere(tmp_path, normalization="standard"))
    whole = data.measure_scales()
    monkeypatch.setattr("hpctrain.data.scales.SLAB_BYTES", 1)
    np.testing.assert_allclose(data.measure_scales().scale, whole.scale, rtol=1e-9)


def test_measure__at_most_16_files_spread_evenly(tmp_path):
    write_boxes(tmp_path, 41, size=4)
    np.save(tmp_path / "f1.npy", np.full((2, 4, 4, 4), 1e6, np.float32))  # not among the sixteen
    data = dataset(box(tmp_path, normalization="minmax", crop=(1, 1, 1)))
    assert max(data.measure_scales().scale) < 10


def test_measure__turning_and_normalising_commute(tmp_path):
    write_spheres(tmp_path)
    scales = dataset(sphere(tmp_path, normalization="standard")).measure_scales()
    x = np.random.default_rng(0).standard_normal((4, 2, 2, 2)).astype(np.float32)
    first, last = x.copy(), scales.normalize(x)
    rotate_longitude(first, 1.1, (1, 2))
    rotate_longitude(last, 1.1, (1, 2))
    np.testing.assert_allclose(scales.normalize(first), last, atol=1e-6)


def test_measure__none_keeps_values(tmp_path):
    write_spheres(tmp_path, 2)
    scales = dataset(sphere(tmp_path)).measure_scales()
    assert (scales.shift, scales.scale) == ((0.0,) * 4, (1.0,) * 4)


def test_measure__constant_variable_is_shifted_with_a_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("hpctrain"), "propagate", True)
    for i in range(2):
        values = random_values(names=("temperature", "flat"), seed=i)
        values["flat"][:] = 7
        write_netcdf3(tmp_path / f"m{i}.nc", values)
    scales = dataset(sphere(tmp_path, normalization="standard")).measure_scales()
    assert (scales.shift[1], scales.scale[1]) == (7.0, 1.0)
    assert "flat is constant" in caplog.text


def test_measure__bad_number_is_named(tmp_path):
    write_spheres(tmp_path, 2)
    values = random_values()
    values["vx"][3, 4, 5] = np.nan
    write_netcdf3(tmp_path / "m0.nc", values)
    with pytest.raises(DataError, match=r"'vx' is nan at index \[r 3, lat 4, lon 5\]"):
        dataset(sphere(tmp_path, normalization="standard")).measure_scales()


def test_measure__inputs_with_other_channels_have_their_own(tmp_path):
    write_boxes(tmp_path / "hr", 3, 8, channels=3)
    write_boxes(tmp_path / "lr", 3, 4, channels=1)
    fields = box(tmp_path, targets=["hr/f*.npy"], inputs=["lr/f*.npy"], normalization="standard")
    scales = dataset(fields).measure_scales()
    assert (len(scales.names), len(scales.for_inputs.names)) == (3, 1)
    assert scales.shift == (0, 0, 0)


@pytest.mark.parametrize(
    ("names", "geometry", "arrays", "expected"),
    [
        (("temperature", "vx", "vy", "vz"), "sphere", [1, 1, 1, 1], [[1, 2, 3]]),
        (("vy", "vx"), "sphere", [1, 1], [[1, 0]]),
        (("vx", "temperature"), "sphere", [1, 1], []),
        (("d_0", "d_1", "d_2", "rho"), "box", [3, 1], [[0, 1, 2]]),
        (("a", "b", "c"), "sphere", [3], []),
    ],
)
def test_vectors__by_name_or_as_three_channels_in_a_box(names, geometry, arrays, expected):
    ends = np.cumsum(arrays).tolist()
    slices = [slice(e - n, e) for e, n in zip(ends, arrays, strict=True)]
    assert vectors_of(names, geometry, slices) == expected
