"""Pictures that lie beside a volume, such as inklabels.png: read whole, as (y, x)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Key
from hpctrain.formats.packages import need

_lock = threading.Lock()


def read_picture(file: Path | BinaryIO, where: str = "") -> NDArray[Any]:
    """All pixels: (y, x) or (y, x, colours); values as they are in the file.

    Args:
        file: the file, or its bytes as an open file.
        where: name for messages, if it is not a path.

    Raises:
        DataError: cannot be read or decoded.
    """
    where = where or str(file)
    image = need("PIL.Image", Path(where))
    try:
        with _open(image, file) as picture:
            values = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as e:
        raise DataError(
            f"{where}: cannot be decoded as a picture ({e}); fetch or write it again"
        ) from e
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def _open(image: Any, file: Path | BinaryIO) -> Any:
    # Scans of a hundred megapixels are what these files are; Pillow takes them for an attack.
    with _lock:
        before, image.MAX_IMAGE_PIXELS = image.MAX_IMAGE_PIXELS, None
        try:
            return image.open(file)
        finally:
            image.MAX_IMAGE_PIXELS = before


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
