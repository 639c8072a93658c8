"""The index from files to text, and what it refuses."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpctrain.errors import DataError
from hpctrain.formats.hdf5 import with_coordinates
from hpctrain.index import build_fields_index
from hpctrain.index.digests import sha256_of
from tests.unit.index.builders import box, sphere, write_boxes, write_sphere


@pytest.fixture
def spheres(tmp_path):
    for i in range(3):
        write_sphere(tmp_path / f"m{i}.nc", seed=i)
    return tmp_path


def test_build__same_files_give_the_same_bytes(tmp_path):
    write_boxes(tmp_path, 3)
    first = build_fields_index(box(tmp_path), 2, tmp_path)
    again = build_fields_index(box(tmp_path), 2, Path("/"))
    assert (first.csv_text, first.json_text) == (again.csv_text, again.json_text)
    np.save(tmp_path / "f0001.npy", np.ones((2, 8, 8, 8), np.float32))
    assert build_fields_index(box(tmp_path), 2, tmp_path).digest != first.digest


def test_build__rows_carry_sizes_and_digests(tmp_path):
    write_boxes(tmp_path, 2)
    row = build_fields_index(box(tmp_path), 2, tmp_path).rows[0]
    path = tmp_path / "f0000.npy"
    assert row["target_sha256"] == sha256_of(path)
    assert row["target_size"] == str(path.stat().st_size)
    assert row["target_mtime"] == str(path.stat().st_mtime_ns)


def test_build__root_is_relative_to_where_it_is_called(tmp_path):
    write_boxes(tmp_path / "data", 2)
    assert build_fields_index(box("data"), 2, tmp_path).root == tmp_path / "data"
    with pytest.raises(DataError, match=r"data\.root: .*gone does not exist"):
        build_fields_index(box("gone"), 2, tmp_path)


def test_build__several_fields_and_inputs_share_a_row(tmp_path):
    for folder, size in (("d", 8), ("v", 8), ("ld", 4), ("lv", 4)):
        write_boxes(tmp_path / folder, 2, size, seed=size)
    fields = box(
        tmp_path,
        targets=["d/f*.npy", "v/f*.npy"],
        inputs=["ld/f*.npy", "lv/f*.npy"],
        crop=(2, 2, 2),
    )
    row = build_fields_index(fields, 2, tmp_path).rows[0]
    assert row.targets == ("d/f0000.npy", "v/f0000.npy")
    assert row["input"] == "ld/f0000.npy|lv/f0000.npy"
    assert row["input_sha256"].count("|") == 1


def test_build__all_truncated_files_are_named(spheres):
    for name in ("m0.nc", "m2.nc"):
        path = spheres / name
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError) as e:
        build_fields_index(sphere(spheres), 2, spheres)
    assert [line.split(": ")[1] for line in str(e.value).splitlines()] == ["truncated"] * 2


def write_hdf5(path, cells, value, columns=0):
    """A box; with columns a globe whose last meridian repeats the first."""
    with h5py.File(path, "w") as f:
        if columns:
            f["lon"] = np.linspace(0, 360, columns)
        f["density"] = np.full(cells, value, np.float32)
        for axis, name in enumerate(("r", "lat", "lon") if columns else ()):
            f["density"].dims[axis].label = name


def test_build__a_crop_larger_than_an_hdf5_box_is_found(tmp_path):
    for i in range(2):
        write_hdf5(tmp_path / f"f{i}.h5", (8, 8, 8), i)
    settings = {"targets": ["f*.h5"], "variables": []}
    read = with_coordinates
    build_fields_index(box(tmp_path, crop=(4, 4, 4), **settings), 2, tmp_path, None, read)
    large = box(tmp_path, crop=(4, 6, 4), **settings)
    with pytest.raises(DataError, match=r"f0\.h5: data\.crop \[4, 6, 4\] is larger .* y 6"):
        build_fields_index(large, 2, tmp_path, None, read)
    stages = [{"epochs": 1, "crop": (6, 4, 4)}]
    large = box(tmp_path, crop=(4, 4, 4), crop_stages=stages, **settings)
    with pytest.raises(DataError, match=r"data\.crop_stages\[0\]\.crop \[6, 4, 4\] is larger"):
        build_fields_index(large, 2, tmp_path, None, read)
    build_fields_index(large, 2, tmp_path, None, lambda header: None)  # no h5py here


def test_build__a_repeated_meridian_in_hdf5_is_not_counted(tmp_path):
    for i in range(2):
        write_hdf5(tmp_path / f"m{i}.nc", (4, 6, 9), i, columns=9)
    settings = {"targets": ["m*.nc"], "variables": ["density"], "crop": (2, 3, 4)}
    build_fields_index(sphere(tmp_path, **settings), 2, tmp_path, None, with_coordinates)


def test_build__files_that_differ_are_refused(spheres):
    write_sphere(spheres / "m1.nc", dtype="d")
    with pytest.raises(DataError, match=r"m1\.nc: .*>f8, but m0\.nc has .*>f4"):
        build_fields_index(sphere(spheres), 2, spheres)
    write_sphere(spheres / "m1.nc", shape=(8, 6, 18))
    with pytest.raises(DataError, match="all files of a pattern must be alike"):
        build_fields_index(sphere(spheres), 2, spheres)


def test_build__unknown_variable_is_found_before_the_job(spheres):
    with pytest.raises(DataError, match="Did you mean 'vx'"):
        build_fields_index(sphere(spheres, variables=["vxx"]), 2, spheres)


def test_build__shape_that_does_not_divide_or_hold_the_crop(spheres):
    with pytest.raises(DataError, match=r"lat 6 does not divide.*data\.grid: \[8, 4, 16\]"):
        build_fields_index(sphere(spheres), 4, spheres)
    with pytest.raises(DataError, match=r"lat 4 \(at most 3\)"):
        build_fields_index(sphere(spheres, crop=(2, 4, 4)), 2, spheres)


def test_build__repeated_meridian_is_read_from_the_file(tmp_path):
    for i in range(2):
        write_sphere(tmp_path / f"m{i}.nc", lon=np.linspace(0, 360, 17), shape=(8, 6, 17), seed=i)
    build_fields_index(sphere(tmp_path), 2, tmp_path)  # 17 columns would not divide


def test_build__copy_of_a_training_file_is_no_validation(tmp_path):
    write_boxes(tmp_path, 2)
    shutil.copy(tmp_path / "f0000.npy", tmp_path / "f0001.npy")
    with pytest.raises(DataError, match=r"f0001\.npy: .*same content as f0000\.npy"):
        build_fields_index(box(tmp_path), 2, tmp_path)


def test_build__options_without_effect_are_refused(spheres):
    with pytest.raises(DataError, match="random_shift"):
        build_fields_index(sphere(spheres, augment={"random_shift": True}), 2, spheres)
