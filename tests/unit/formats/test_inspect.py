"""Decoding files of each kind, and what their values say."""

import numpy as np
import pytest
from PIL import Image

from hpctrain.formats.inspect import inspect_file
from tests.requires import SHARED_DATA, requires
from tests.unit.index.builders import write_sphere
from tests.unit.index.sky import table

RNG = np.random.default_rng(0)


def write(path, values):
    """Save an array in the format of the path's name."""
    import h5py
    import tifffile

    kind = path.suffix
    if kind == ".npy":
        np.save(path, values)
    elif kind == ".tif":
        tifffile.imwrite(path, values)
    elif kind == ".png":
        Image.fromarray(values).save(path)
    elif kind == ".raw":
        values.tofile(path)
    elif kind == ".csv":
        np.savetxt(path, values, delimiter=",")
    else:
        with h5py.File(path, "w") as f:
            f["group/x"] = values
    return str(path)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("a.npy", "float32"), ("a.tif", "uint16"), ("a.png", "uint8"), ("a.csv", "float64"),
     ("a.hdf5", "int16")],
)  # fmt: skip
def test_inspect__values(tmp_path, name, dtype):
    values = (RNG.random((12, 10)) * 99).astype(dtype)
    path = write(tmp_path / name, values)
    assert inspect_file(path) == ("12x10", dtype, "")
    fault = inspect_file(write(tmp_path / name, np.full_like(values, 7)))[2]
    assert fault.startswith("constant: ")
    assert fault.endswith(("all values are 7", "all values are 7.0"))
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: len(raw) // 2])
    if name != "a.csv":
        assert inspect_file(path)[2].startswith("unreadable: ")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inspect__non_finite(tmp_path, value):
    values = RNG.random((4, 5)).astype("f4")
    values[2, 3] = value
    assert inspect_file(write(tmp_path / "a.npy", values))[2] == f"nan: has {value} at cell 13"
    assert inspect_file(write(tmp_path / "a.h5", values))[2].startswith("nan: group/x: has")


def test_inspect__tables_of_cameras_and_others(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(table())
    assert inspect_file(str(path)) == ("3x4", "float64", "")
    path.write_text(table().replace(";", ";nan;", 8).replace("sensor;nan;", "sensor;"))
    assert inspect_file(str(path))[2]
    path.write_text("name,place\nx,y\n")
    assert inspect_file(str(path)) == ("", "", "")


def test_inspect__netcdf3(tmp_path):
    path = write_sphere(tmp_path / "m.nc")
    assert inspect_file(str(path)) == ("6x8x16", "float32", "")


def test_inspect__other_kinds_are_not_looked_at(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert inspect_file(str(tmp_path / "a.txt")) == ("", "", "")


@requires(shared_data=True)
def test_real__frames_of_cameras():
    found = {
        path.suffix: inspect_file(str(path))
        for path in sorted((SHARED_DATA / "sage").rglob("*.*"))
        if path.suffix in (".jpg", ".csv", ".raw")
    }
    assert {f[2] for f in found.values()} == {""}
    assert found[".csv"][0] == "252x336"
