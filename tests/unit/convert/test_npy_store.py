"""Fields as npy: what a training reads from the copy is what it reads from the source."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from hpctrain.config.data import Fields
from hpctrain.data import FieldDataset
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.field_files import open_group
from hpctrain.index import build_fields_index
from tests.requires import SHARED_DATA, requires
from tests.unit.convert.builders import run, tree, write_cosmoflow
from tests.unit.data.builders import axes_of, random_values, write_netcdf3, write_netcdf4

SHAPE = (12, 10, 18)


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def spheres(folder: Path, writer=write_netcdf3, **options) -> list[Path]:
    folder.mkdir()
    values = [random_values(SHAPE, seed=i) for i in range(3)]
    return [writer(folder / f"m{i}.nc", v, **options) for i, v in enumerate(values)]


def dataset(root: Path, pattern: str, **options) -> FieldDataset:
    given = {"validation_steps": 1, "crop": (3, 5, 9), "geometry": "sphere"} | options
    fields = Fields(kind="fields", root=str(root), targets=[pattern], **given)
    index = build_fields_index(fields, 2, Path("/"))
    return FieldDataset(fields, index, "train", 2, 1, 0)


def samples(data: FieldDataset) -> np.ndarray:
    x = np.empty((len(data), *data.input_shape), np.float32)
    y = np.empty((len(data), *data.target_shape), np.float32)
    for i in range(len(data)):
        data.read_into(i, 0, x[i], y[i])
    return np.concatenate([x.ravel(), y.ravel()])


@pytest.mark.parametrize("writer", [write_netcdf3, write_netcdf4])
def test_npy__a_training_reads_the_same_samples(tmp_path, writer):
    sources = spheres(tmp_path / "raw", writer)
    run(sources, "npy", tmp_path / "out")
    raw, copy = dataset(tmp_path / "raw", "m*.nc"), dataset(tmp_path / "out", "m*.npy")
    assert copy.variables == raw.variables == ("temperature", "vx", "vy", "vz")
    assert copy.units == raw.units
    np.testing.assert_array_equal(samples(copy), samples(raw))


def test_npy__the_meridian_that_is_there_twice_is_known_from_the_copy(tmp_path):
    values = random_values((12, 10, 19))
    axes = axes_of((12, 10, 18)) | {"lon": np.linspace(0, 360, 19)}
    (tmp_path / "raw").mkdir()
    for i in range(2):
        write_netcdf3(tmp_path / "raw" / f"m{i}.nc", values, axes=axes)
        values = {k: v + 1 for k, v in values.items()}
    run(sorted((tmp_path / "raw").glob("*.nc")), "npy", tmp_path / "out")
    copy = dataset(tmp_path / "out", "m*.npy")
    np.testing.assert_array_equal(samples(copy), samples(dataset(tmp_path / "raw", "m*.nc")))


def test_npy__numpy_maps_it_channels_first(tmp_path):
    (source, *_) = spheres(tmp_path / "raw")
    run(source, "npy", tmp_path / "out")
    mapped = np.load(tmp_path / "out" / "m0.npy", mmap_mode="r")
    expected = np.stack(list(random_values(SHAPE).values()))
    assert mapped.dtype.str == "<f4"
    np.testing.assert_array_equal(mapped, expected)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "m0.npy"), expected)


def test_npy__variables_shells_and_steps(tmp_path):
    sources = spheres(tmp_path / "raw")
    options = {"variables": ("vx", "temperature"), "crop": ((2, 8), (None, None), (None, None))}
    run(sources, "npy", tmp_path / "out", steps=(1, None, 2), **options)
    assert [p.name for p in sorted((tmp_path / "out").glob("*.npy"))] == ["m1.npy"]
    found = np.load(tmp_path / "out" / "m1.npy")
    values = random_values(SHAPE, seed=1)
    np.testing.assert_array_equal(found, np.stack([values["vx"], values["temperature"]])[:, 2:8])
    page = json.loads((tmp_path / "out" / "data_card.json").read_text())
    (array,) = page["stored"]["arrays"]
    assert [c["name"] for c in array["channels"]] == ["vx", "temperature"]
    assert [c["units"] for c in array["channels"]] == ["m/s", "K"]
    r = axes_of(SHAPE)["r"]
    assert array["coordinates"]["r"] == {"first": r[2], "last": r[7], "cells": 6}


def test_npy__names_of_the_contest_with_blanks_and_missing_values(tmp_path):
    names = ("temperature anomaly", "spin transition-induced density anomaly")
    source = write_netcdf3(tmp_path / "a.nc", random_values(SHAPE, names), _FillValue=-1024.0)
    run(source, "npy", tmp_path / "out", variables=(names[1],))
    fields = Fields(kind="fields", targets=["a.npy"], crop=(1, 1, 1))
    group = open_group([tmp_path / "out" / "a.npy"], fields, is_input=False)
    assert group.group.names == (names[1],)
    assert group.fills == (-1024.0,)


@pytest.mark.parametrize("options", [{}, {"chunks": (4, 3, 2, 4), "compression": "gzip"}])
def test_npy__cosmoflow_has_its_redshifts_as_channels(tmp_path, options):
    source = write_cosmoflow(tmp_path / "a.hdf5", **options)
    run(source, "npy", tmp_path / "out", variables=("z=3", "z=0"))
    with h5py.File(source) as f:
        expected = np.moveaxis(f["full"][()], -1, 0)[[3, 0]]
    found = np.load(tmp_path / "out" / "a.npy")
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, expected)
    page = json.loads((tmp_path / "out" / "data_card.json").read_text())
    assert page["stored"]["arrays"][0]["attributes"]["sigma_8"] == 0.5


def test_npy__cosmoflow_with_the_redshift_elsewhere_is_refused(tmp_path):
    source = write_cosmoflow(tmp_path / "a.hdf5", shape=(4, 8, 6))
    with h5py.File(source, "r+") as f:
        turned = np.moveaxis(f["full"][()], -1, 0)
        del f["full"]
        f["full"] = turned
    with pytest.raises(DataError, match="the redshift must be the last axis"):
        run(source, "npy", tmp_path / "out")


def test_npy__map2map_big_endian_and_fortran_order(tmp_path):
    values = np.arange(3 * 5 * 4 * 6, dtype=">f4").reshape(3, 5, 4, 6)
    np.save(tmp_path / "big.npy", values)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(values.astype("<f8")))
    run([tmp_path / "big.npy", tmp_path / "fortran.npy"], "npy", tmp_path / "out")
    for name, dtype in (("big", "<f4"), ("fortran", "<f8")):
        found = np.load(tmp_path / "out" / f"{name}.npy", mmap_mode="r")
        assert found.dtype.str == dtype
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, values)


def test_npy__velocities_are_not_lost_in_float16(tmp_path):
    source = write_netcdf3(
        tmp_path / "a.nc", {"vx": random_values(SHAPE)["vx"] * 1e-9, "vy": np.ones(SHAPE, "f4")}
    )
    with pytest.raises(ConfigError, match=r"--dtype float16: .*e-\d\d of a.npy.* keep float32"):
        run(source, "npy", tmp_path / "out", dtype="float16")
    assert not (tmp_path / "out").exists()


def test_npy__float64_is_halved_when_asked_for(tmp_path):
    np.save(tmp_path / "a.npy", np.linspace(0, 1, 60).reshape(3, 4, 5))
    run(tmp_path / "a.npy", "npy", tmp_path / "out", dtype="float32")
    expected = np.linspace(0, 1, 60).reshape(3, 4, 5).astype(np.float32)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "a.npy"), expected)


def test_npy__a_fault_of_the_disk_is_found(tmp_path, monkeypatch):
    import hpctrain.convert.npy_store as module

    right = module.os.pwrite

    def wrong(fd, data, offset):
        return right(fd, bytes([data[0] ^ 1]) + bytes(data[1:]), offset)

    np.save(tmp_path / "a.npy", np.ones((2, 3, 4)))
    monkeypatch.setattr(module.os, "pwrite", wrong)
    with pytest.raises(DataError, match="holds other numbers than its source"):
        run(tmp_path / "a.npy", "npy", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_npy__a_damaged_page_of_names_is_found(tmp_path):
    run(spheres(tmp_path / "raw"), "npy", tmp_path / "out")
    path = tmp_path / "out" / "m0.npy"
    data = bytearray(path.read_bytes())
    data[data.index(b'"temperature"') + 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="names and coordinates behind its numbers is damaged"):
        dataset(tmp_path / "out", "m*.npy")


def test_npy__a_variable_of_records_is_refused_as_a_training_would(tmp_path):
    with netcdf_file(tmp_path / "a.nc", "w", version=2) as f:
        for name, size in (("t", None), ("lat", 4), ("r", 3), ("lon", 8)):
            f.createDimension(name, size)
        f.createVariable("temperature", "f", ("t", "lat", "r", "lon"))[:] = np.ones((2, 4, 3, 8))
    with pytest.raises(DataError, match="no variable lies on a grid"):
        run(tmp_path / "a.nc", "npy", tmp_path / "out")


@requires(shared_data=True)
def test_npy__real_convection(tmp_path):
    source = SHARED_DATA / "mantle" / "citcoms_cookbook8_sphere_64x33x128.nc"
    run(source, "npy", tmp_path / "out")
    given = {"geometry": "sphere", "crop": (1, 1, 1)}
    groups = [
        open_group([path], Fields(kind="fields", targets=[path.name], **given), is_input=False)
        for path in (source, tmp_path / "out" / f"{source.stem}.npy")
    ]
    raw, copy = groups
    assert copy.group.names == raw.group.names
    assert copy.units == raw.units
    for a, b in zip(copy.coordinates, raw.coordinates, strict=True):
        np.testing.assert_array_equal(a, b)
    every = (slice(None),) * 4
    values = [np.concatenate([block[every] for _, block in group.blocks]) for group in groups]
    np.testing.assert_array_equal(values[1], values[0])
    assert "GPL-2.0" in (tmp_path / "out" / "DATA_CARD.md").read_text()


@requires(shared_data=True)
def test_npy__real_displacements_come_out_byte_by_byte(tmp_path):
    source = SHARED_DATA / "cosmology" / "abacus_mini_N64_L32_z0_disp.npy"
    run(source, "npy", tmp_path / "out")
    found = np.load(tmp_path / "out" / source.name)
    assert found.tobytes() == np.load(source).tobytes()


def test_npy__sums_are_right(tmp_path):
    import hashlib

    sources = spheres(tmp_path / "raw")
    run(sources, "npy", tmp_path / "out")
    for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(tree(tmp_path / "out")[name]).hexdigest() == digest
    lines = (tmp_path / "out" / "SOURCES.sha256").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [str(p) for p in sources]


def test_npy__vectors_of_a_box_are_those_of_the_source(tmp_path):
    boxes = tmp_path / "raw"
    boxes.mkdir()
    for i in range(2):
        np.save(boxes / f"f{i}.npy", np.random.default_rng(i).normal(size=(3, 4, 4, 4)))
    run(sorted(boxes.glob("*.npy")), "npy", tmp_path / "out")
    given = {"geometry": "box", "crop": (2, 2, 2)}
    raw, copy = (dataset(folder, "f*.npy", **given) for folder in (boxes, tmp_path / "out"))
    assert copy.variables == raw.variables == ("f_0", "f_1", "f_2")
    np.testing.assert_array_equal(samples(copy), samples(raw))
    # three channels of one npy array are a vector; three variables of a NetCDF file are not
    names = ("a", "b", "c")
    run(write_netcdf3(tmp_path / "m.nc", random_values(SHAPE, names)), "npy", tmp_path / "nc")
    for path, fields in (("out/f0.npy", 1), ("nc/m.npy", 3)):
        options = Fields(kind="fields", targets=["f"], geometry="box", crop=(1, 1, 1))
        assert len(open_group([tmp_path / path], options, is_input=False).fields) == fields
