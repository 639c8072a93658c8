"""One file of a pair to the plane that crops are taken from: decoded, cut, resized, checked."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.pair_data import CAMERA_MARGINS, Four, Optical
from hpctrain.errors import DataError
from hpctrain.formats.mobotix import decode_csv, read_thermal, read_values
from hpctrain.formats.packages import need
from hpctrain.formats.picture import read_picture
from hpctrain.formats.sage_names import Side, parse_name

Plane = NDArray[Any]
"""(H, W, 3) uint8 colours, (H, W) uint8 grey values, uint16 counts, or float32 values."""
Size = tuple[int, int]
NOTHING: Four = (0.0, 0.0, 0.0, 0.0)
_HALVES_APART = 0.02
"""Share by which the shape of a picture may differ from that in its name."""
PER_COUNT, ZERO = 0.04, 273.15
"""Degrees Celsius of a count of a Mobotix camera: 0.04 * count - 273.15."""


@dataclass(frozen=True)
class Cut:
    """Which part of a picture file is used."""

    half: str
    """left, right, whole; or auto: the half of that name's side, unless the file holds only it."""
    side: Side | None
    """Of the thermal sensor, for half: auto."""
    margins: Four
    """left, top, right, bottom of the half that are cut off, in shares of it."""


def cut_of(optical: Optical, mount: str, thermal_name: str) -> Cut:
    """The part of an optical picture that the thermal one shows.

    Args:
        optical: settings.
        mount: how the camera is screwed on, by name, or the node's.
        thermal_name: name of the thermal file, or empty.
    """
    side = _side(thermal_name)
    other = optical.margins.get("*", CAMERA_MARGINS if side else NOTHING)
    return Cut(optical.half, side, optical.margins.get(mount, other))


def _side(name: str) -> Side | None:
    try:
        return parse_name(name).side
    except DataError:
        return None


def read_checked(path: Path, sha256: str) -> bytes:
    """The bytes of a file, if they are those that were indexed.

    Raises:
        DataError: it cannot be read, or its content is another.
    """
    try:
        data = path.read_bytes()
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}; restore the file") from e
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(
            f"{path}: content has changed since the job was rendered; restore the file or render "
            "the job again"
        )
    return data


def optical_plane(path: Path, sha256: str, cut: Cut, size: Size, *, is_grey: bool) -> Plane:
    """Colours or grey values of the part that is used, resized with a triangle filter.

    Args:
        path: a JPEG or PNG.
        sha256: of its bytes.
        cut: the part.
        size: rows and columns of the result.
        is_grey: (H, W) luma instead of (H, W, 3) colours.

    Raises:
        DataError: see `read_checked`; not a picture, or one of no two halves.
    """
    image = need("PIL.Image", path)
    data = read_checked(path, sha256)
    mode = "L" if is_grey else "RGB"
    try:
        with image.open(io.BytesIO(data)) as picture:
            columns, margins = _half(picture.size, cut, path), cut.margins
            width, height = picture.size
            box = (
                columns[0] + margins[0] * (columns[1] - columns[0]),
                margins[1] * height,
                columns[1] - margins[2] * (columns[1] - columns[0]),
                height - margins[3] * height,
            )
            shrink = max(size[1] / (box[2] - box[0]), size[0] / (box[3] - box[1]))
            if shrink < 1:  # a JPEG is decoded at a half, quarter or eighth at once
                picture.draft("RGB", (int(width * shrink) + 1, int(height * shrink) + 1))
            scale = picture.size[0] / width, picture.size[1] / height
            own = tuple(edge * scale[i % 2] for i, edge in enumerate(box))
            resized = picture.convert(mode).resize(size[::-1], image.Resampling.BILINEAR, own)
            return np.asarray(resized)
    except (OSError, SyntaxError, ValueError) as e:
        raise DataError(
            f"{path}: cannot be decoded as a picture ({e}); fetch or write it again"
        ) from e


def _half(size: tuple[int, int], cut: Cut, path: Path) -> tuple[float, float]:
    """First column, and the one behind the last, of the optical part."""
    width, height = size
    halves = {"left": (0.0, width / 2), "right": (width / 2, float(width))}
    if cut.half in halves:
        return halves[cut.half]
    if cut.half == "whole" or cut.side is None:
        return 0.0, float(width)
    try:
        name = parse_name(path.name)
    except DataError:
        shape = width / height
    else:
        shape = name.width / name.height
    ratio = width / height / shape
    if abs(ratio - 0.5) < _HALVES_APART:
        return 0.0, float(width)  # somebody has cut it already
    if abs(ratio - 1) > _HALVES_APART:
        raise DataError(
            f"{path}: has {width} x {height} pixels, which is the shape of neither one nor two "
            "halves of what its name says; give data.optical.half: left, right or whole"
        )
    return halves["left" if cut.side == "right" else "right"]


def thermal_plane(path: Path, sha256: str, size: Size) -> Plane:
    """Counts, grey values or other values of a thermal file; resized ones are float32 values.

    Args:
        path: a camera's .csv or .raw, a grey .png or .jpg, or .npy.
        sha256: of its bytes.
        size: rows and columns of the result.

    Raises:
        DataError: see `read_checked`; it cannot be decoded, or holds no numbers.
    """
    plane = _thermal(path, read_checked(path, sha256))
    if plane.ndim != 2:
        raise DataError(f"{path}: has shape {list(plane.shape)}; allowed: rows and columns alone")
    if plane.shape == size:
        return plane
    image = need("PIL.Image", path)
    own = image.fromarray(values_of(plane))
    return np.asarray(own.resize(size[::-1], image.Resampling.BILINEAR))


def _thermal(path: Path, data: bytes) -> Plane:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        try:
            return decode_csv(data, str(path)).counts
        except DataError as e:
            if "not on the camera's law" not in str(e):
                raise
        return read_values(path).astype(np.float32)
    if suffix == ".raw":
        return read_thermal(path).counts
    if suffix == ".npy":
        try:
            values: Plane = np.load(io.BytesIO(data), allow_pickle=False)
        except (OSError, ValueError) as e:
            raise DataError(f"{path}: cannot be read as npy ({e})") from e
        values = values.astype(np.float32)
    else:
        values = _one_channel(read_picture(io.BytesIO(data), str(path)))
        if values.dtype == np.uint8:
            return values
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: holds values that are no numbers; leave the sample out")
    return values


def _one_channel(values: Plane) -> Plane:
    """The first channel of a grey picture that was stored with colours."""
    return values if values.ndim == 2 else np.ascontiguousarray(values[..., 0])


def values_of(plane: Plane) -> NDArray[np.float32]:
    """Degrees Celsius of counts; other values as they are."""
    if plane.dtype != np.uint16:
        return plane.astype(np.float32)
    values = plane.astype(np.float32)
    values *= np.float32(PER_COUNT)
    values -= np.float32(ZERO)
    return values
