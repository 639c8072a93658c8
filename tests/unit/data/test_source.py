"""Regions of fields, and numbers that are none."""

import shutil

import numpy as np
import pytest

from hpctrain.data.source import FieldSource
from hpctrain.errors import DataError
from hpctrain.index.fields.grid import plan_grid

from .builders import (
    SHAPE,
    axes_of,
    box,
    random_values,
    sphere,
    write_boxes,
    write_netcdf3,
    write_netcdf4,
    write_spheres,
)


def source_of(fields, root, names=("m0.nc", "m1.nc", "m2.nc"), **options):
    source = FieldSource(root, [(n,) for n in names], fields, is_input=False)
    shape = source.first.shape
    source.use(plan_grid("m", fields.geometry, shape, longitudes=source.longitudes, **options))
    return source


def region(source, file, start, size, halo=0):
    out = np.full([len(source.names), *(n + 2 * halo for n in size)], np.nan, np.float32)
    source.read(file, source.region(start, size, halo), out)
    return out


def test_source__reads_across_the_date_line(tmp_path):
    values = write_spheres(tmp_path)
    source = source_of(sphere(tmp_path), tmp_path)
    found = region(source, 2, (1, 2, 13), (3, 4, 6))
    np.testing.assert_array_equal(found, np.roll(values[2], 3, 3)[:, 1:4, 2:6, 0:6])


def test_source__repeated_meridian_and_corrupt_shells_are_never_read(tmp_path):
    values = random_values((201, 4, 9), names=("temperature",))
    values["temperature"][[0, 200]] = np.nan
    values["temperature"][:, :, 8] = np.nan
    axes = axes_of((201, 4, 9)) | {"lon": np.linspace(0, 360, 9)}
    write_netcdf3(tmp_path / "m0.nc", values, axes=axes)
    source = source_of(sphere(tmp_path), tmp_path, ["m0.nc"])
    found = region(source, 0, (0, 0, 5), (199, 4, 8), halo=2)
    np.testing.assert_array_equal(found[0, 2:-2, 2:-2, 2], values["temperature"][1:200, :, 5])
    np.testing.assert_array_equal(found[0, 2:-2, 2:-2, 5], values["temperature"][1:200, :, 0])
    np.testing.assert_array_equal(found[0, 0], found[0, 2])


def test_source__resamples_on_true_coordinates(tmp_path):
    axes = axes_of(SHAPE) | {"lat": np.array([90, *np.linspace(80, -80, 10), -90])}
    r, lat, lon = np.meshgrid(*axes.values(), indexing="ij")
    field = {"temperature": (r * 1e-3 + lat).astype(np.float32) + 0 * lon.astype(np.float32)}
    write_netcdf3(tmp_path / "m0.nc", field, axes=axes)
    source = source_of(sphere(tmp_path), tmp_path, ["m0.nc"], grid=(4, 6, 12))
    found = region(source, 0, (1, 0, 9), (3, 6, 6))
    new_r, new_lat, _ = (axis.coordinates for axis in source.axes)
    expected = new_r[1:4, None] * 1e-3 + new_lat[None, :]
    np.testing.assert_allclose(found[0], np.repeat(expected[..., None], 6, 2), rtol=1e-5)
    np.testing.assert_allclose(new_lat, 75 - 30 * np.arange(6))


def test_source__box_is_resampled_periodically(tmp_path):
    x = np.cos(2 * np.pi * (np.arange(8) + 0.5) / 8)
    np.save(tmp_path / "f0.npy", np.broadcast_to(x, (8, 8, 8)).astype(np.float32))
    source = source_of(box(tmp_path), tmp_path, ["f0.npy"], grid=(8, 8, 4))
    found = region(source, 0, (0, 0, 2), (1, 1, 4)).ravel()
    np.testing.assert_allclose(found, np.roll(x.reshape(4, 2).mean(1), -2), atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_source__bad_number_is_named_with_its_place(tmp_path, value):
    values = random_values()
    values["vy"][5, 7, 15] = value
    write_netcdf3(tmp_path / "m0.nc", values)
    source = source_of(sphere(tmp_path), tmp_path, ["m0.nc"])
    region(source, 0, (0, 0, 0), (8, 7, 16))  # the rows before are good
    with pytest.raises(DataError) as e:
        region(source, 0, (4, 6, 14), (2, 2, 4))
    place = "index [r 5, lat 7, lon 15] (r 5500, lat -22.5, lon 337.5)"
    assert f"m0.nc: 'vy' is {value:g} at {place}; repair the file" in str(e.value)


def test_source__bad_number_is_found_before_it_is_interpolated(tmp_path):
    values = random_values()
    values["vx"][5, 7, 2] = np.nan
    write_netcdf3(tmp_path / "m0.nc", values)
    source = source_of(sphere(tmp_path), tmp_path, ["m0.nc"], grid=(7, 11, 15))
    with pytest.raises(DataError, match=r"'vx' is nan at index \[r 5, lat 7, lon 2\]"):
        region(source, 0, (0, 0, 0), (7, 11, 15))


def test_source__missing_values_are_bad_numbers(tmp_path):
    values = random_values()
    values["temperature"][1, 2, 3] = -999
    write_netcdf3(tmp_path / "m0.nc", values, _FillValue=np.float32(-999))
    source = source_of(sphere(tmp_path), tmp_path, ["m0.nc"])
    with pytest.raises(DataError, match=r"'temperature' is -999 at index \[r 1, lat 2, lon 3\]"):
        region(source, 0, (0, 0, 0), (4, 4, 4))


def test_source__huge_but_finite_numbers_pass(tmp_path):
    np.save(tmp_path / "f0.npy", np.full((1, 4, 4, 4), 1e30, np.float32))
    source = source_of(box(tmp_path), tmp_path, ["f0.npy"])
    assert region(source, 0, (0, 0, 0), (4, 4, 4)).max() == np.float32(1e30)


def test_source__file_on_another_grid_is_refused(tmp_path):
    write_spheres(tmp_path, writer=write_netcdf4)
    write_netcdf4(tmp_path / "m1.nc", random_values((8, 12, 20)))
    source = source_of(sphere(tmp_path), tmp_path)
    with pytest.raises(DataError, match=r"m1\.nc: .* of \(8, 12, 20\) cells, but m0\.nc has"):
        source.open(1)
    axes = axes_of(SHAPE) | {"r": np.linspace(3000, 6300, 8)}
    write_netcdf3(tmp_path / "m2.nc", random_values(), axes=axes)
    with pytest.raises(DataError, match=r"m2\.nc: coordinate r is not that of m0\.nc"):
        source.open(2)


def test_source__number_of_open_files_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("hpctrain.data.source.MAX_OPEN", 2)
    values = write_boxes(tmp_path, 5)
    source = source_of(box(tmp_path), tmp_path, [f"f{i}.npy" for i in range(5)])
    for i in (0, 1, 2, 3, 4, 0):
        np.testing.assert_array_equal(region(source, i, (0, 0, 0), (8, 8, 8)), values[i])
    assert len(source._open) == 2


def test_source__label_names_all_files_of_a_sample(tmp_path):
    write_boxes(tmp_path, 1)
    shutil.copy(tmp_path / "f0.npy", tmp_path / "g0.npy")
    fields = box(tmp_path, targets=["f*.npy", "g*.npy"])
    source = FieldSource(tmp_path, [("f0.npy", "g0.npy")], fields, is_input=False)
    assert source.label(0) == "f0.npy|g0.npy"
