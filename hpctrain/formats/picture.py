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


def read_picture(
    file: Path | BinaryIO, where: str = "", *, has_palette: bool = True
) -> NDArray[Any]:
    """All pixels: (y, x) or (y, x, colours); values as they are in the file.

    Args:
        file: the file, or its bytes as an open file.
        where: name for messages, if it is not a path.
        has_palette: give the numbers of a palette's colours; else their grey values or colours.

    Raises:
        DataError: cannot be read or decoded.
    """
    where = where or str(file)
    image = need("PIL.Image", Path(where))
    try:
        with _open(image, file) as picture:
            values = np.asarray(picture if has_palette else _without_palette(picture))
    except (OSError, SyntaxError, ValueError) as e:
        raise DataError(
            f"{where}: cannot be decoded as a picture ({e}); fetch or write it again"
        ) from e
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def _without_palette(picture: Any) -> Any:
    if picture.mode not in ("P", "PA"):
        return picture
    colours = picture.convert("RGBA")
    is_opaque = colours.getchannel("A").getextrema() == (255, 255)
    return colours.convert("L") if is_opaque else colours


def _open(image: Any, file: Path | BinaryIO) -> Any:
    # Scans of a hundred megapixels are what these files are; Pillow takes them for an attack.
    with _lock:
        before, image.MAX_IMAGE_PIXELS = image.MAX_IMAGE_PIXELS, None
        try:
            return image.open(file)
        finally:
            image.MAX_IMAGE_PIXELS = before


def open_picture(name: str, path: Path) -> Array:
    """A greyscale picture as an array.

    Of a palette the grey values of its colours count. A colour picture whose channels are alike is
    one; with transparency it is the opacity where all is painted in one colour, else the luminance.

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
    values = read_picture(path, has_palette=False)
    if values.ndim == 2:
        return values
    alpha = values[..., -1] if values.shape[-1] in (2, 4) else None
    colours = values if alpha is None else values[..., :-1]
    if alpha is not None and (colours == colours[:1, :1]).all() and (alpha != alpha[0, 0]).any():
        return np.ascontiguousarray(alpha)  # painted in one colour on a transparent sheet
    if (colours == colours[..., :1]).all():
        return np.ascontiguousarray(colours[..., 0])
    if alpha is not None:
        return _luminance(colours)
    raise DataError(f"{path}: has colours; a label, mask or infrared picture has one grey channel")


def _luminance(colours: NDArray[Any]) -> NDArray[Any]:
    """Grey values of (y, x, 3) colours, by ITU-R BT.601."""
    weights = np.array([299, 587, 114], np.float64) / 1000
    found: NDArray[Any] = np.rint(colours @ weights).astype(colours.dtype)
    return found
