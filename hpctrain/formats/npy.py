"""npy files of real numbers, whole or mapped.

numpy's own `load` parses headers in a way that may fail where threads read; see index/headers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.index.headers.arrays import FileHeader
from hpctrain.index.headers.file import read_header


def mapped_npy(header: FileHeader) -> NDArray[Any]:
    """The values of a file whose header is known, read as they are touched.

    Args:
        header: of an npy file; at least one value.
    """
    (array,) = header.arrays
    order: Literal["C", "F"] = "F" if array.fortran else "C"
    return np.memmap(header.path, array.dtype, "r", array.offset, array.shape, order)


def read_npy(path: Path) -> NDArray[Any]:
    """All values, in the machine's byte order.

    Raises:
        DataError: no npy file, or not of real numbers.
    """
    header = read_header(path)
    if header.kind != "npy":
        raise DataError(f"{path}: is no plain npy file but {header.kind}; write it with np.save")
    (array,) = header.arrays
    with path.open("rb") as f:
        f.seek(array.offset)
        flat = np.fromfile(f, array.dtype, array.num_bytes // int(array.dtype[2:]))
    values = flat.reshape(array.shape, order="F" if array.fortran else "C")
    return values.astype(values.dtype.newbyteorder("="), copy=False)
