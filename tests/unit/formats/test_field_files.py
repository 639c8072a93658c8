"""Open files against what was written."""

import struct

import numpy as np
import pytest

from hpctrain.errors import DataError
from hpctrain.formats.field_files import open_group
from tests.unit.data.builders import NAMES, box, random_values, sphere, write_boxes, write_netcdf3


def whole(group):
    every = (slice(None),) * 4
    return np.concatenate([np.asarray(block[every], np.float32) for _, block in group.blocks])


@pytest.mark.parametrize("layout", [("lat", "r", "lon"), ("r", "lat", "lon"), ("lon", "lat", "r")])
@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_netcdf3__any_axis_order_becomes_r_lat_lon(tmp_path, layout, dtype):
    values = random_values()
    path = write_netcdf3(tmp_path / "m.nc", values, layout, dtype=dtype)
    group = open_group([path], sphere(tmp_path), is_input=False)
    np.testing.assert_array_equal(whole(group), np.stack(list(values.values())))
    assert group.shape == (8, 12, 16)


def test_netcdf3__is_mapped_not_read(tmp_path):
    values = random_values()
    path = write_netcdf3(tmp_path / "m.nc", values)
    group = open_group([path], sphere(tmp_path), is_input=False)
    raw = path.read_bytes()
    with path.open("r+b") as f:
        f.write(raw.replace(struct.pack(">f", values["vz"][0, 0, 0]), struct.pack(">f", 2.0)))
    assert group.blocks[3][1][0, 0, 0, 0] == 2.0


def test_netcdf3__channels_follow_variables_with_units_and_coordinates(tmp_path):
    values = random_values()
    path = write_netcdf3(tmp_path / "m.nc", values)
    fields = sphere(tmp_path, variables=["vz", "temperature"])
    group = open_group([path], fields, is_input=False)
    np.testing.assert_array_equal(whole(group), [values["vz"], values["temperature"]])
    assert (group.group.names, group.units) == (("vz", "temperature"), ("m/s", "K"))
    r, lat, lon = group.coordinates
    assert (r[0], lat[0], lon[1]) == (3500, 82.5, 22.5)
    assert group.path_of(1) == path


def test_netcdf3__fill_value_is_known_unless_it_is_nan(tmp_path):
    for value, expected in ((np.float32(-999), -999.0), (np.float32("nan"), None)):
        write_netcdf3(tmp_path / "m.nc", random_values(), _FillValue=value)
        group = open_group([tmp_path / "m.nc"], sphere(tmp_path), is_input=False)
        assert group.fills == (expected,) * len(NAMES)
        assert group.has_fills is (expected is not None)


@pytest.mark.parametrize("r", [[1, 2, 2, 3], [1, 2, float("nan"), 3]])
def test_netcdf3__coordinate_that_turns_back_is_refused(tmp_path, r):
    axes = {"r": np.array(r, float), "lat": np.arange(3.0), "lon": np.arange(4) * 90.0}
    write_netcdf3(tmp_path / "m.nc", random_values((4, 3, 4)), axes=axes)
    with pytest.raises(DataError, match="coordinate 'r' is not strictly rising or falling"):
        open_group([tmp_path / "m.nc"], sphere(tmp_path), is_input=False)


def test_npy__fields_of_several_files_are_joined(tmp_path):
    (vector,) = write_boxes(tmp_path / "v", 1, channels=3)
    scalar = np.asfortranarray(np.random.default_rng(5).standard_normal((8, 8, 8)))
    np.save(tmp_path / "f0.npy", scalar)
    fields = box(tmp_path, targets=["v/f*.npy", "f*.npy"])
    paths = [tmp_path / "v/f0.npy", tmp_path / "f0.npy"]
    group = open_group(paths, fields, is_input=False)
    expected = np.concatenate([vector, scalar[None].astype(np.float32)])
    np.testing.assert_array_equal(whole(group), expected)
    assert [channels for channels, _ in group.blocks] == [slice(0, 3), slice(3, 4)]
    assert [group.path_of(c) for c in (2, 3)] == paths
    assert group.coordinates == (None, None, None)


@pytest.mark.parametrize("dtype", ["<f2", ">f8", "<i4", "|u1"])
def test_npy__number_types_are_converted_on_the_crop(tmp_path, dtype):
    values = np.arange(64).reshape(1, 4, 4, 4).astype(dtype)
    np.save(tmp_path / "f0.npy", values)
    group = open_group([tmp_path / "f0.npy"], box(tmp_path), is_input=False)
    out = np.empty((1, 2, 2, 2), np.float32)
    out[...] = group.blocks[0][1][:, 1:3, 1:3, 1:3]
    np.testing.assert_array_equal(out, values[:, 1:3, 1:3, 1:3])
