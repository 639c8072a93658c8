"""netCDF classic headers against scipy's writer, and CDF-5 by hand."""

import struct

import numpy as np
import pytest
from scipy.io import netcdf_file

from hpctrain.errors import DataError
from hpctrain.index.headers.file import read_header
from hpctrain.index.headers.netcdf3 import read_values
from tests.unit.index.builders import write_sphere


def values_of(path, array):
    return np.fromfile(path, array.dtype, int(np.prod(array.shape)), offset=array.offset)


@pytest.mark.parametrize("version", [1, 2])
def test_netcdf__header_places_every_variable(tmp_path, version):
    path = write_sphere(tmp_path / "m.nc", version=version, title="a title", variables=("a b", "c"))
    header = read_header(path)
    assert (header.kind, header.attributes["title"]) == ("netcdf3", "a title")
    assert [a.name for a in header.arrays if len(a.shape) == 3] == ["a b", "c"]
    with netcdf_file(path, mmap=False) as f:
        for array in header.arrays:
            v = f.variables[array.name]
            assert (array.shape, array.dims) == (v.shape, v.dimensions)
            np.testing.assert_array_equal(values_of(path, array), v[:].ravel())
    assert header.array("c").attributes["units"] == "K"
    assert header.array("d") is None


def test_netcdf__coordinate_values_are_read_without_numpy(tmp_path):
    path = write_sphere(tmp_path / "m.nc", shape=(4, 3, 8))
    assert read_values(path, read_header(path).array("lat")) == (90.0, 0.0, -90.0)


def test_netcdf__truncated_names_bytes_found_and_expected(tmp_path):
    path = write_sphere(tmp_path / "m.nc")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"truncated: {size - 100} bytes found, {size} by its"):
        read_header(path)
    path.write_bytes(path.read_bytes()[:70])
    with pytest.raises(DataError, match="truncated: 70 bytes found, more for its header"):
        read_header(path)


@pytest.mark.parametrize("records", [1, 3])
def test_netcdf__records_lie_apart_unless_there_is_one(tmp_path, records):
    path = tmp_path / "m.nc"
    with netcdf_file(path, "w") as f:
        f.createDimension("time", None)
        f.createDimension("x", 3)
        for name in ("a", "b"):
            f.createVariable(name, "h", ("time", "x"))[:records] = np.full((records, 3), records)
    array = read_header(path).array("b")
    assert (array.shape, array.contiguous) == ((records, 3), records == 1)
    raw = path.read_bytes()
    assert struct.unpack_from(">3h", raw, array.offset) == (records,) * 3
    path.write_bytes(raw[:-8])
    with pytest.raises(DataError, match="truncated"):
        read_header(path)


def cdf5(path, cells=4):
    """A CDF-5 file with one variable v(x) of unsigned 64-bit numbers, written by hand."""

    def name(text):
        return struct.pack(">Q", len(text)) + text + bytes(-len(text) % 4)

    head = b"CDF\x05" + struct.pack(">Q", 0)
    head += struct.pack(">IQ", 10, 1) + name(b"x") + struct.pack(">Q", cells)
    head += struct.pack(">IQ", 0, 0)  # no global attributes
    head += struct.pack(">IQ", 11, 1) + name(b"v") + struct.pack(">QQ", 1, 0)
    head += struct.pack(">IQ", 12, 1) + name(b"scale") + struct.pack(">IQd", 6, 1, 2.5)
    head += struct.pack(">IQ", 11, 8 * cells)
    head += struct.pack(">Q", len(head) + 8)
    path.write_bytes(head + struct.pack(f">{cells}Q", *range(cells)))
    return path


def test_netcdf__64_bit_data_is_read(tmp_path):
    path = cdf5(tmp_path / "m.nc")
    (array,) = read_header(path).arrays
    assert (array.name, array.dtype, array.dims) == ("v", ">u8", ("x",))
    assert array.attributes == {"scale": 2.5}
    assert read_values(path, array) == (0, 1, 2, 3)


def test_netcdf__malformed_header_is_refused(tmp_path):
    path = cdf5(tmp_path / "m.nc")
    raw = bytearray(path.read_bytes())
    raw[15] = 77  # tag of the dimension list
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match="malformed netCDF header: tag 77"):
        read_header(path)
