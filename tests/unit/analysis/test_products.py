from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hpctrain.analysis.products import Labels, save_product
from hpctrain.errors import ConfigError
from hpctrain.provenance import Stamp, read

STAMP = Stamp("prediction", run_id="1f", checkpoint="state_3.pt", checkpoint_digest="ab" * 32)
FIELD = np.linspace(-1, 1, 4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8)
LABELS = Labels("temperature", ("r", "lat", "lon"), "K")


def back(path: Path) -> np.ndarray:
    """What another program reads."""
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".nc":
        from scipy.io import netcdf_file

        with netcdf_file(path, mmap=False) as file:
            variable = file.variables["temperature"]
            assert variable.dimensions == ("r", "lat", "lon")
            assert variable.units == b"K"
            return variable[:].copy()
    if path.suffix == ".zarr":
        import zarr

        stored = zarr.open_array(path, mode="r")
        assert stored.attrs["units"] == "K"
        return stored[...]
    if path.suffix == ".tif":
        import tifffile

        return tifffile.imread(path)
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("suffix", [".npy", ".nc", ".zarr", ".tif", ".png"])
def test_save_product__is_read_by_others_and_says_where_it_is_from(tmp_path, suffix) -> None:
    path = tmp_path / "out" / f"a b{suffix}"
    array = FIELD if suffix != ".png" else (1000 * (FIELD[0] + 1)).astype(np.uint16)
    labels = LABELS if suffix != ".png" else None
    for _ in range(2):  # the second time over the first
        written = save_product(path, array, STAMP, labels)
    assert np.array_equal(back(path), array)
    found = read(path)
    assert found.stamp == written
    assert (found.stamp.run_id, found.stamp.checkpoint) == ("1f", "state_3.pt")
    assert found.is_intact is (None if suffix == ".zarr" else True)
    beside = {f"a b{suffix}", f"a b{suffix}.provenance.json"}
    assert {p.name for p in path.parent.iterdir()} <= beside


def test_save_product__a_copied_pair_is_found_under_another_name(tmp_path: Path) -> None:
    save_product(tmp_path / "a.npy", FIELD, STAMP)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "a.npy", other / "renamed.npy")
    shutil.copy(tmp_path / "a.npy.provenance.json", other)
    assert read(other / "renamed.npy").is_intact
    np.save(other / "renamed.npy", FIELD + 1)
    with pytest.raises(ConfigError, match="carries no stamp"):
        read(other / "renamed.npy")


def test_save_product__color_and_bytes_as_png(tmp_path: Path) -> None:
    color = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    save_product(tmp_path / "c.png", color, STAMP)
    assert np.array_equal(back(tmp_path / "c.png"), color)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("a.png", FIELD, r"PNG takes .* found \(4, 6, 8\) in float32"),
        ("a.nc", FIELD.astype(np.int64), "NetCDF 3 takes no int64"),
        ("a.tif", FIELD[None], r"TIFF takes .*found \(1, 4, 6, 8\)"),
        ("a.xyz", FIELD, "no writer for this suffix; choose from .npy, .nc"),
    ],
)
def test_save_product__wrong_arrays_leave_nothing(tmp_path, name, array, message) -> None:
    with pytest.raises(ConfigError, match=message):
        save_product(tmp_path / name, array, STAMP)
    assert list(tmp_path.iterdir()) == []


def test_save_product__an_error_keeps_the_old_file(tmp_path: Path) -> None:
    save_product(tmp_path / "a.npy", FIELD, STAMP)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="allow_pickle"):
        save_product(tmp_path / "a.npy", np.array([{}], dtype=object), STAMP)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_save_product__wrong_labels(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 axes are named, and the array has 3"):
        save_product(tmp_path / "a.nc", FIELD, STAMP, Labels(axes=("x", "y")))
