"""A folder of TIFF layers, or a TIFF file with many pictures, as one volume (z, y, x)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Attributes, Key
from hpctrain.formats.tiff import read_pages, read_region


def open_stack(name: str, files: Sequence[Path], attributes: Attributes | None = None) -> Array:
    """The volume of these files.

    Args:
        name: of the array.
        files: one a layer, from z = 0; or a single one with all layers.
        attributes: of the array.

    Raises:
        DataError: a file that is no greyscale TIFF, truncated, or unlike the first.
    """
    with ThreadPoolExecutor(8) as pool:  # network file systems answer slowly, but many at a time
        found = list(pool.map(read_pages, files))
    if len(files) > 1:
        for path, own in zip(files, found, strict=True):
            if len(own) > 1:
                raise DataError(f"{path}: holds {len(own)} pictures; give one layer a file")
    pages = [page for own in found for page in own]
    first = pages[0]
    kind = first.dtype.newbyteorder("=")
    for page in pages:
        if page.shape != first.shape or page.dtype.newbyteorder("=") != kind:
            raise DataError(
                f"{page.path}: {page.shape[0]} x {page.shape[1]} pixels (y, x) of {page.dtype}, "
                f"but {first.path.name} has {first.shape[0]} x {first.shape[1]} of {first.dtype}; "
                "all layers of a volume must be alike"
            )
    block = (1, *max(page.piece for page in pages))

    def read(key: Key) -> NDArray[Any]:
        z, y, x = key
        shape = tuple(part.stop - part.start for part in key)
        out = np.empty(shape, kind)
        for values, page in zip(out, pages[z], strict=True):
            values[...] = read_region(page, y, x)
        return out

    shape = (len(pages), *first.shape)
    return Array(name, shape, kind, read, ("z", "y", "x"), attributes=attributes or {}, block=block)
