"""NetCDF-4 and HDF5: mapped where contiguous, sliced where chunked."""

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpctrain.errors import DataError
from hpctrain.formats.field_files import open_group
from hpctrain.formats.hdf5 import ChunkedBlock, fill_header
from hpctrain.index.headers.file import read_header
from tests.unit.data.builders import dataset, random_values, read, sphere, write_netcdf4

CHUNKED = {"chunks": (4, 3, 5), "compression": "gzip"}
MANTLE = Path(__file__).parents[4] / "shared" / "data" / "mantle"


def opened(path):
    return open_group([path], sphere(path.parent), is_input=False)


@pytest.mark.parametrize("options", [{}, CHUNKED])
def test_hdf5__slices_equal_what_was_written(tmp_path, options):
    values = random_values()
    group = opened(write_netcdf4(tmp_path / "m.nc", values, **options))
    keys = [slice(1, 3), slice(5, 2, -1), slice(3, None, -1)]
    for (_, block), x in zip(group.blocks, values.values(), strict=True):
        assert isinstance(block, ChunkedBlock) is bool(options)
        np.testing.assert_array_equal(block[(slice(None), *keys)][0], x[tuple(keys)])
    assert group.units[0] == "K"


def test_hdf5__variables_are_in_the_order_of_their_making(tmp_path):
    path = write_netcdf4(tmp_path / "m.nc", random_values(names=("z", "a", "m")))
    assert opened(path).group.names == ("z", "a", "m")


def test_hdf5__dimension_without_coordinate_gives_none(tmp_path):
    path = write_netcdf4(tmp_path / "m.nc", random_values())
    with h5py.File(path, "a") as f:
        f["r"].attrs["NAME"] = np.bytes_(
            b"This is a netCDF dimension but not a netCDF variable.  8"
        )
    assert opened(path).coordinates[0] is None


def test_hdf5__global_texts_and_numbers_are_read(tmp_path):
    path = write_netcdf4(tmp_path / "m.nc", random_values())
    with h5py.File(path, "a") as f:
        f.attrs["title"], f.attrs["rayleigh"] = "convection", np.array([1e5])
    assert fill_header(read_header(path)).attributes == {"title": "convection", "rayleigh": 1e5}


def test_hdf5__damaged_inside_is_named(tmp_path):
    path = write_netcdf4(tmp_path / "m.nc", random_values())
    raw = bytearray(path.read_bytes())
    raw[48:400] = bytes(352)
    path.write_bytes(bytes(raw))
    with pytest.raises((DataError, OSError, RuntimeError), match=r"m\.nc|object header"):
        opened(path)


def test_hdf5__large_chunks_are_warned_of_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("hpctrain.formats.hdf5.CHUNK_CACHE_BYTES", 100)
    monkeypatch.setattr(logging.getLogger("hpctrain"), "propagate", True)
    opened(write_netcdf4(tmp_path / "m.nc", random_values(), **CHUNKED))
    assert [r.message.count("nccopy -d0") for r in caplog.records] == [1]


def test_hdf5__shape_that_does_not_divide_is_found_by_the_trainer(tmp_path):
    for i in range(2):
        values = random_values((9, 12, 16), seed=i)
        write_netcdf4(tmp_path / f"m{i}.nc", values, **CHUNKED)
    with pytest.raises(DataError, match=r"r 9 does not divide .*data\.shells: \[0, 8\]"):
        dataset(sphere(tmp_path))


@pytest.mark.skipif(not MANTLE.is_dir(), reason="no ../shared/data/mantle beside the repository")
def test_hdf5__real_citcoms_sphere_gives_samples(tmp_path):
    source = next(MANTLE.glob("citcoms*.nc"))
    with h5py.File(source) as f:
        values = {n: f[n][()].transpose(1, 0, 2) for n in ("temperature", "vx", "vy", "vz")}
    for i in range(2):
        write_netcdf4(tmp_path / f"m{i}.nc", {n: x * (1 - 2 * i) for n, x in values.items()})
    (tmp_path / "m0.nc").write_bytes(source.read_bytes())
    data = dataset(
        sphere(tmp_path, shells=(0, 32), crop=(8, 8, 8), augment={"roll_longitude": False})
    )
    assert (data.variables, len(data)) == (("temperature", "vx", "vy", "vz"), 2 * 4 * 8)
    i = 8 + 3
    x, y = read(data, i)
    assert data.sample_name(i) == "m0.nc [r 0, lat 8, lon 24]"
    np.testing.assert_array_equal(y[0], values["temperature"][:16, 16:32, 48:64])
    assert y[0].min() >= 0
    assert y[0].max() <= 1
    np.testing.assert_allclose(x[:, 1:-1, 1:-1, 1:-1].mean(), y.mean(), rtol=1e-3)
