"""Pictures that lie beside a volume, such as inklabels.png: read whole, as (y, x)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Key
from hpctrain.formats.packages import need

_lock = threading.Lock()


def read_picture(path: Path) -> NDArray[Any]:
    """All pixels: (y, x) or (y, x, colours); values as they are in the file.

    Raises:
        DataError: cannot be read or decoded.
    """
    image = need("PIL.Image", path)
    with _lock:
        # Scans of a hundred megapixels are what these files are; Pillow takes them for an attack.
        before, image.MAX_IMAGE_PIXELS = image.MAX_IMAGE_PIXELS, None
        try:
            with image.open(path) as picture:
                values = np.asarray(picture)
        except (OSError, SyntaxError, ValueError) as e:
            raise DataError(
                f"{path}: cannot be decoded as a picture ({e}); fetch or write it again"
            ) from e
        finally:
            image.MAX_IMAGE_PIXELS = before
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def open_picture(name: str, path: Path) -> Array:
    """A greyscale picture as an array; a colour picture whose channels are alike counts as one.

    Raises:
        DataError: see `read_picture`, or a picture with colours.
    """
    plane = _plane(path)

    def read(key: Key) -> NDArray[Any]:
        return _plane(path)[key].copy()

    attributes = {"file": path.name}
    return Array(
        name, plane.shape, plane.dtype, read, ("y", "x"), attributes=attributes, block=plane.shape
    )


def _plane(path: Path) -> NDArray[Any]:
    values = read_picture(path)
    if values.ndim == 2:
        return values
    colours = values[..., :3]
    if (colours == colours[..., :1]).all():
        return np.ascontiguousarray(values[..., 0])
    raise DataError(f"{path}: has colours; a label, mask or infrared picture has one grey channel")
