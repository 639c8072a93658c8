import numpy as np
import pytest
from scipy.io import netcdf_file

from hpctrain.formats.netcdf3 import Variable, write


def test_write__read_by_scipy_in_the_order_given(tmp_path):
    a = np.arange(6, dtype="f4").reshape(2, 3)
    b = np.linspace(0, 1, 3)
    variables = [
        Variable("z last name first", ("y", "x"), a, {"units": "K"}),
        Variable("a", ("x",), b),
    ]
    attributes = {"title": "odd", "count": 7, "factor": 2.5}
    write(tmp_path / "a.nc", {"y": 2, "x": 3}, variables, attributes)
    with netcdf_file(tmp_path / "a.nc", mmap=False) as file:
        assert (file.title, file.count, file.factor) == (b"odd", 7, 2.5)
        assert dict(file.dimensions) == {"y": 2, "x": 3}
        assert list(file.variables) == ["z last name first", "a"]
        assert file.variables["z last name first"].units == b"K"
        np.testing.assert_array_equal(file.variables["z last name first"][:], a)
        np.testing.assert_array_equal(file.variables["a"][:], b)


@pytest.mark.parametrize("order", ["C", "F"])
def test_write__any_memory_layout_and_byte_order(tmp_path, order):
    values = np.asarray(np.random.default_rng(0).random((4, 5)), dtype=">f8", order=order)
    write(tmp_path / "a.nc", {"y": 4, "x": 5}, [Variable("v", ("y", "x"), values)], {})
    with netcdf_file(tmp_path / "a.nc", mmap=False) as file:
        np.testing.assert_array_equal(file.variables["v"][:], values)


def test_write__numbers_fill_the_end_of_the_file(tmp_path):
    values = np.arange(10, dtype="f4")
    write(tmp_path / "a.nc", {"x": 10}, [Variable("v", ("x",), values)], {"note": "abcde"})
    raw = (tmp_path / "a.nc").read_bytes()
    assert raw[:4] == b"CDF\x02"
    assert raw[-40:] == values.astype(">f4").tobytes()
