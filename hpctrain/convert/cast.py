"""Store numbers in another type, where that loses no more than the type's own precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import ConfigError
from hpctrain.formats.array import Array


def target_dtype(array: Array, name: str | None) -> np.dtype[Any]:
    """The stored type: little-endian, the array's own or the one named.

    Raises:
        ConfigError: no type of real numbers.
    """
    if name is None:
        return array.dtype.newbyteorder("<")
    try:
        dtype = np.dtype(name)
    except TypeError as e:
        raise ConfigError(f"--dtype: found {name!r}; allowed: such as float32 or uint16") from e
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise ConfigError(f"--dtype: found {name!r}; allowed: float16 to float64, int8 to uint64")
    return dtype.newbyteorder("<")


def cast(values: NDArray[Any], dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    """The values in another type.

    Args:
        values: any shape.
        dtype: integers and floats from integers must be exact; floats from floats may lose digits,
            but no number may become 0, infinite or one of the few near 0 that have fewer digits.
        where: whose values, for messages.

    Raises:
        ConfigError: a value does not survive.
    """
    if values.dtype == dtype or values.dtype.newbyteorder("<") == dtype:
        return np.ascontiguousarray(values, dtype)
    with np.errstate(all="ignore"):
        stored = values.astype(dtype)
        back = stored.astype(values.dtype)
        # a type of the other sign wraps on the way and back again, so both ways are compared
        is_kept = (back == values) & (stored == values)
        if values.dtype.kind == "f":
            is_kept |= np.isnan(values) & np.isnan(stored)
        if dtype.kind == "f" and values.dtype.kind == "f":
            is_kept |= np.abs(back - values) <= np.finfo(dtype).eps * np.abs(values)
    if not is_kept.all():
        place = np.unravel_index(int(np.argmin(is_kept)), values.shape)
        raise ConfigError(
            f"--dtype {dtype.name}: {values[place]:g} of {where} would become {stored[place]:g}; "
            f"keep {values.dtype.name}, or scale the data first"
        )
    return np.ascontiguousarray(stored)
