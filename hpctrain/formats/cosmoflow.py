"""HDF5 of the CosmoFlow simulations: counts in a box, the redshift as the last axis.

Layout: dataset `full` (x, y, z, redshift), int16; `redshifts`, `namePar`, `physPar`; the universe's
tag as an attribute. Read as (channel, x, y, z) with one channel a redshift.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Key, Source
from hpctrain.formats.hdf5 import open_file, text_attributes

DATASET = "full"


def is_cosmoflow(path: Path) -> bool:
    """Whether an HDF5 file has the dataset of that layout."""
    with open_file(path) as f:
        return DATASET in f and len(getattr(f[DATASET], "shape", ())) == 4


def open_cosmoflow(path: Path) -> Source:
    """The counts, channels first.

    Raises:
        DataError: as many redshifts as the last axis are not there.
    """
    with open_file(path) as f:
        data = f[DATASET]
        *cells, count = data.shape
        redshifts = np.ravel(f["redshifts"][()]).tolist() if "redshifts" in f else None
        if redshifts is not None and len(redshifts) != count:
            raise DataError(
                f"{path}: {len(redshifts)} redshifts, but the last axis of {DATASET!r} has {count};"
                " the redshift must be the last axis"
            )
        dtype = data.dtype.newbyteorder("=")
        attributes = {**text_attributes(f.attrs), **_parameters(f)}
        chunks = data.chunks
    channels = tuple(f"z={z:g}" for z in redshifts or ()) or tuple(
        f"channel_{c}" for c in range(count)
    )

    def read(key: Key) -> NDArray[Any]:
        with open_file(path) as f:
            values = f[DATASET][key[1:]]  # all redshifts lie together in the file
        return np.ascontiguousarray(np.moveaxis(values[..., key[0]], -1, 0), dtype)

    array = Array(
        "fields",
        (count, *cells),
        dtype,
        read,
        ("channel", "x", "y", "z"),
        channels=channels,
        channel_attributes=tuple({"units": "particles"} for _ in channels),
        attributes=attributes,
        block=(count, *(chunks[:3] if chunks else (1, *cells[1:]))),
    )
    return Source(path, "CosmoFlow HDF5", (array,), (path,), attributes)


def _parameters(f: Any) -> dict[str, float]:
    """Cosmological parameters by name."""
    if "namePar" not in f or "physPar" not in f:
        return {}
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(f["namePar"][()])]
    return dict(zip(names, np.ravel(f["physPar"][()]).tolist(), strict=False))
