"""Other types, where no number is lost."""

import numpy as np
import pytest

from hpctrain.convert.cast import cast
from hpctrain.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([40000], np.uint16), "int16"),  # wraps there and back again
        (np.array([-1], np.int16), "uint16"),
        (np.array([2**24 + 1], np.int32), "float32"),
        (np.array([0.5], np.float32), "int16"),
        (np.array([1e-9], np.float32), "float16"),
        (np.array([6e-8], np.float32), "float16"),  # one of the few numbers near 0
        (np.array([70000.0], np.float32), "float16"),
        (np.array([1e300]), "float32"),
        (np.array([np.nan], np.float32), "int32"),
        (np.array([65535], np.uint16), "float16"),
    ],
)
def test_cast__what_would_be_lost_is_refused(values, dtype):
    with pytest.raises(ConfigError, match=f"--dtype {dtype}: .* of v would become .*; keep"):
        cast(values, np.dtype(dtype), "v")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([0, 255, 2047], np.uint16), "float16"),
        (np.array([0.1, -3.3, 0.0, np.nan, np.inf, -np.inf]), "float32"),
        (np.array([0.1, 300.0], np.float32), "float16"),
        (np.array([3.0, -2.0], np.float32), "int8"),
        (np.array([7, 9], ">i2"), "uint8"),
    ],
)
def test_cast__what_survives(values, dtype):
    found = cast(values, np.dtype(dtype), "v")
    np.testing.assert_array_equal(found, values.astype(dtype))
