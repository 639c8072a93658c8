"""Files of fields on a grid as one array (channel, r, lat, lon) or (channel, x, y, z)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.data import Fields
from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Key, Source
from hpctrain.formats.field_files import channel_arrays, open_blocks, open_group
from hpctrain.formats.hdf5 import fill_header
from hpctrain.formats.npy import mapped_npy
from hpctrain.index.fields.layout import AXES, is_on_sphere
from hpctrain.index.headers.arrays import FileHeader
from hpctrain.index.headers.file import read_header


def open_fields(path: Path, variables: Sequence[str] = ()) -> Source:
    """The fields of one NetCDF, HDF5 or npy file, as a training sees them.

    Axes of a sphere come in the order r, lat, lon, whatever their order in the file; numbers are
    kept as they are, with the channels' attributes and the coordinates.

    Args:
        path: the file.
        variables: those wanted, in channel order; empty: all that lie on the grid.

    Raises:
        DataError: no fields, or a layout that a training would refuse as well.
    """
    header = fill_header(read_header(path))
    if header.kind == "npy":
        return _plain_npy(header)
    geometry = _geometry(header)
    fields = Fields(
        kind="fields",
        targets=[path.name],
        geometry=geometry,
        variables=list(variables),
        crop=(1, 1, 1),
    )
    group = open_group([path], fields, is_input=False)
    (layout,) = group.group.layouts
    header = group.group.headers[0]
    arrays = channel_arrays(layout)
    dtype = np.dtype(arrays[0].dtype).newbyteorder("=")
    if any(np.dtype(a.dtype).newbyteorder("=") != dtype for a in arrays):
        kinds = ", ".join(f"{a.name} {np.dtype(a.dtype)}" for a in arrays)
        raise DataError(
            f"{path}: variables of one file differ in their type ({kinds}); choose those of one "
            "type with --variable"
        )

    def read(key: Key) -> NDArray[Any]:
        # Opened anew: the pages of a map count as this process's memory until it is closed.
        parts, channel = [], 0
        for block in open_blocks(header, layout):
            size = block.shape[0]
            a, b = max(key[0].start - channel, 0), min(key[0].stop - channel, size)
            if a < b:
                parts.append(np.array(block[(slice(a, b), *key[1:])], dtype))
            channel += size
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    named = zip(AXES[geometry], group.coordinates, strict=True)
    array = Array(
        "fields",
        (layout.num_channels, *layout.shape),
        dtype,
        read,
        ("channel", *AXES[geometry]),
        channels=tuple(a.name for a in arrays),
        channel_attributes=tuple(dict(a.attributes) for a in arrays),
        coordinates={name: tuple(x.tolist()) for name, x in named if x is not None},
        attributes=dict(header.attributes),
    )
    return Source(path, f"fields ({header.kind})", (array,), (path,), header.attributes)


def _geometry(header: FileHeader) -> Literal["sphere", "box"]:
    """A sphere if any variable lies on r, lat and lon; else a box."""
    return "sphere" if any(is_on_sphere(array) for array in header.arrays) else "box"


def _plain_npy(header: FileHeader) -> Source:
    """Channels first, then space, as map2map writes it; or any other array of numbers."""
    (only,) = header.arrays
    dtype = np.dtype(only.dtype).newbyteorder("=")
    axes: tuple[str, ...] = tuple(f"axis{i}" for i in range(len(only.shape)))
    channels: tuple[str, ...] = ()
    if len(only.shape) in (3, 4):
        axes = ("channel", *AXES["box"])[-len(only.shape) :]
    if len(only.shape) == 4:
        channels = tuple(f"channel_{c}" for c in range(only.shape[0]))
    if not only.shape or 0 in only.shape:
        raise DataError(f"{header.path}: holds no numbers (shape {list(only.shape)})")

    def read(key: Key) -> NDArray[Any]:
        return np.array(mapped_npy(header)[key], dtype)

    array = Array("fields", only.shape, dtype, read, axes, channels=channels, is_unnamed=True)
    return Source(header.path, "npy array", (array,), (header.path,))
