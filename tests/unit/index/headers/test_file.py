"""npy and HDF5 headers against what numpy and h5py wrote."""

import h5py
import numpy as np
import pytest

from hpctrain.errors import DataError
from hpctrain.index.headers.file import read_header


def cut(path, num_bytes):
    """Drop the last bytes of a file."""
    path.write_bytes(path.read_bytes()[:-num_bytes])
    return path


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2"])
def test_npy__header_places_the_values(tmp_path, version, dtype):
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / "a.npy"
    with path.open("wb") as f:
        np.lib.format.write_array(f, values, version=version)
    (array,) = read_header(path).arrays
    assert (array.shape, array.dtype, array.fortran) == ((2, 3, 4), dtype, False)
    found = np.fromfile(path, array.dtype, offset=array.offset).reshape(array.shape)
    np.testing.assert_array_equal(found, values)


def test_npy__fortran_order_is_kept(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(np.zeros((2, 3, 4))))
    assert read_header(tmp_path / "a.npy").arrays[0].fortran


def test_npy__truncated_names_bytes_found_and_expected(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4), np.float32))
    size = path.stat().st_size
    with pytest.raises(DataError, match=rf"a\.npy: truncated: {size - 5} .* {size} by its header"):
        read_header(cut(path, 5))


def test_npy__header_cut_off_is_truncated(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(4))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="truncated: 40 bytes found, more for its header alone"):
        read_header(path)


@pytest.mark.parametrize("values", [np.array([None]), np.zeros(2, "c16"), np.zeros(2, "i4,f4")])
def test_npy__what_is_no_real_number_is_refused(tmp_path, values):
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(DataError, match="give real numbers"):
        read_header(tmp_path / "a.npy")


def test_npy__malformed_header_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'shape': (2,)} \n" + bytes(8))
    with pytest.raises(DataError, match="malformed npy header"):
        read_header(path)


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
def test_hdf5__truncated_is_found_without_h5py(tmp_path, libver):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver) as f:
        f["x"] = np.zeros((4, 4, 4))
    size = path.stat().st_size
    assert read_header(path).kind == "hdf5"
    with pytest.raises(DataError, match=f"truncated: {size - 1} bytes found, {size} by its header"):
        read_header(cut(path, 1))


def test_header__other_formats_and_missing_files_are_named(tmp_path):
    (tmp_path / "a.nc").write_text("hello world")
    with pytest.raises(DataError, match="is no array file"):
        read_header(tmp_path / "a.nc")
    (tmp_path / "empty.nc").touch()
    with pytest.raises(DataError, match="truncated: 0 bytes"):
        read_header(tmp_path / "empty.nc")
    with pytest.raises(DataError, match=r"b\.nc: cannot be read: No such file"):
        read_header(tmp_path / "b.nc")
