"""Thermal files of Mobotix cameras: celsius.csv, uint.csv and raw, to counts and back exactly.

A count of the 14-bit sensor is a temperature: celsius = 0.04 * count - 273.15. All three forms
hold the same numbers. Source of the layouts: waggle-sensor/plugin-mobotix-sampler, SinkVideo.cpp;
the law was found in a camera's own files, where it holds for every pixel.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hpctrain.errors import DataError
from hpctrain.formats import celsius_csv
from hpctrain.formats.celsius_csv import COUNTS, PER_COUNT, ZERO, Counts
from hpctrain.formats.sage_names import SageName, Side, parse_name

UNITS = {"celsius": "degrees Celsius", "uint": "raw uint16"}
_HEADER_LINES = 7


@dataclass(frozen=True)
class Thermal:
    """One thermal frame."""

    counts: Counts
    """(rows, columns) uint16, 0 to 16383."""
    side: Side | None
    """Half of the camera's picture in which the sensor is; None where nothing says it."""

    @property
    def celsius(self) -> NDArray[np.float64]:
        """Degrees Celsius, (rows, columns)."""
        return to_celsius(self.counts)


def to_celsius(counts: Counts) -> NDArray[np.float64]:
    """Temperatures of counts, bit by bit the numbers that parsing a celsius.csv gives.

    Args:
        counts: any shape, uint16.

    Returns:
        Degrees Celsius, float64, like `counts`.
    """
    return _CELSIUS.take(counts)


# Hundredths are whole: dividing them rounds once, as reading "-12.34" does.
_CELSIUS = (PER_COUNT * np.arange(1 << 16) - ZERO) / 100


def to_counts(celsius: NDArray[np.floating], where: str = "temperatures") -> Counts:
    """Counts of temperatures that lie on the camera's law.

    Args:
        celsius: (rows, columns), degrees.
        where: whose they are, for messages.

    Raises:
        DataError: a value is off the law, not finite, or out of the sensor's range; names its row
            and column, counted from 1.
    """
    with np.errstate(invalid="ignore"):
        hundredths = np.round(np.asarray(celsius, np.float64) * 100)
        exact = np.abs(hundredths / 100 - celsius) < 1e-3  # float32 keeps 5 decimals below 400
    if not exact.all():
        row, column = np.argwhere(~exact)[0]
        raise DataError(
            f"{where}: row {row + 1}, column {column + 1}: {celsius[row, column]} is not on the "
            "camera's law 0.04 * count - 273.15"
        )
    return celsius_csv.from_hundredths(hundredths.astype(np.int64), where)


def nearest_counts(celsius: NDArray[np.floating]) -> Counts:
    """What the sensor counts at temperatures that it meets; at the ends of its range, the end.

    Args:
        celsius: any shape, degrees, finite.
    """
    counts = np.rint((celsius * 100 + ZERO) / PER_COUNT)
    result: Counts = np.clip(counts, 0, COUNTS - 1).astype(np.uint16)
    return result


def optical_columns(frame_width: int, side: Side) -> slice:
    """Columns of the camera's picture that hold the optical image: the half without the sensor.

    Args:
        frame_width: of the picture with both halves side by side.
        side: of the thermal sensor, as its file's name says.

    Raises:
        DataError: the width is odd.
    """
    if frame_width % 2:
        raise DataError(f"a picture of {frame_width} columns has no two halves")
    half = frame_width // 2
    return slice(0, half) if side == "right" else slice(half, frame_width)


def decode_csv(data: bytes, where: str) -> Thermal:
    """Read the bytes of a celsius.csv or uint.csv.

    Args:
        data: the whole file.
        where: its name, for messages.

    Raises:
        DataError: the header or a number is wrong; names row and column.
    """
    header, start = _header(data, where)
    shape = _shape(header, where)
    side = cast("Side | None", header.get("sensor") if header["sensor"] in _SIDES else None)
    if header.get("unit") == UNITS["celsius"]:
        return Thermal(celsius_csv.decode(data, start, shape, where), side)
    if header.get("unit") == UNITS["uint"]:
        whole = celsius_csv.read_numbers(data[start:], shape, where, decimals=0)
        return Thermal(_in_range(whole, where), side)
    raise DataError(
        f"{where}: header: found unit {header.get('unit')!r}; allowed: {', '.join(UNITS.values())}"
    )


_SIDES = ("left", "right")


def _header(data: bytes, where: str) -> tuple[dict[str, str], int]:
    """Its seven entries, and the offset of the first number."""
    start, entries = 0, {}
    for _ in range(_HEADER_LINES + 1):
        end = data.find(b"\n", start)
        line = data[start : end if end >= 0 else len(data)].decode("ascii", "replace").strip()
        start = end + 1
        if end < 0 or not line:
            break
        key, _, value = line.partition(";")
        entries[key] = value
    if len(entries) != _HEADER_LINES or line or not {"sensor", "width", "height"} <= set(entries):
        raise DataError(
            f"{where}: does not begin with the camera's seven header lines (sensor;..., bit "
            "depth;..., width;..., ...) and a blank line; the file is truncated or not a camera's"
        )
    return entries, start


def _shape(header: dict[str, str], where: str) -> tuple[int, int]:
    sizes = header["height"], header["width"]
    if not all(size.isdigit() and 0 < int(size) <= 1 << 14 for size in sizes):
        raise DataError(f"{where}: header: found height and width {sizes}; allowed: 1 to 16384")
    return int(sizes[0]), int(sizes[1])


def _in_range(values: NDArray[np.int64], where: str) -> Counts:
    wrong = (values < 0) | (values >= COUNTS)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{where}: row {row + 1}, column {column + 1}: found {values[row, column]}; "
            f"allowed: a count of 0 to {COUNTS - 1}"
        )
    return values.astype(np.uint16)


def decode_raw(data: bytes, shape: tuple[int, int], where: str) -> Counts:
    """Read the bytes of a .thermal.raw file: uint16, little endian, row by row.

    Raises:
        DataError: it has another size, or a count of more than 14 bits.
    """
    rows, columns = shape
    if len(data) != 2 * rows * columns:
        raise DataError(
            f"{where}: holds {len(data)} bytes; {columns} x {rows} counts are "
            f"{2 * rows * columns}; the file is truncated or has another size than its name says"
        )
    return _in_range(np.frombuffer(data, "<u2").reshape(shape).astype(np.int64), where)


def read_thermal(path: str | os.PathLike[str]) -> Thermal:
    """Read a thermal file; its name tells the form, and must agree with what it holds.

    Raises:
        DataError: it cannot be read, is truncated, off the law, or contradicts its name.
    """
    path = Path(path)
    name = parse_name(path.name)
    try:
        data = path.read_bytes()
    except OSError as e:
        raise DataError(f"{path}: cannot be read ({e.strerror})") from e
    if name.unit == "raw":
        return Thermal(decode_raw(data, (name.height, name.width), str(path)), name.side)
    if name.unit is None:
        raise DataError(f"{path}: is a picture; allowed: celsius.csv, uint.csv or thermal.raw")
    found = decode_csv(data, str(path))
    rows, columns = found.counts.shape
    if (columns, rows) != (name.width, name.height) or name.side not in (None, found.side):
        raise DataError(
            f"{path}: holds {found.side} {columns}x{rows}, its name says "
            f"{name.side} {name.width}x{name.height}"
        )
    return found


def read_values(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Degrees Celsius of a celsius.csv, also of one that was changed after the camera wrote it.

    Slow where a value is off the camera's law: such files are no camera's, and rare.

    Raises:
        DataError: as `read_thermal`, but for the law.
    """
    path = Path(path)
    data = path.read_bytes()
    header, start = _header(data, str(path))
    if header.get("unit") != UNITS["celsius"]:
        return read_thermal(path).celsius
    shape = _shape(header, str(path))
    counts = celsius_csv.decode_words(data, start, shape)
    if counts is not None:
        return to_celsius(counts)
    return celsius_csv.read_numbers(data[start:], shape, str(path)) / 100


def encode(counts: Counts, name: SageName | str) -> bytes:
    """The bytes of a thermal file, in the form that its name says.

    Args:
        counts: (rows, columns), each 0 to 16383.
        name: of the file.

    Raises:
        DataError: the name is of another size, no thermal file's, or lacks the sensor's side.
    """
    found = parse_name(name) if isinstance(name, str) else name
    rows, columns = counts.shape
    if (found.width, found.height) != (columns, rows) or not found.is_thermal:
        raise DataError(f"{found}: is not a name for a thermal frame of {columns} x {rows}")
    valid = _in_range(counts.astype(np.int64), str(found))
    if found.unit == "raw":
        return valid.astype("<u2").tobytes()
    if found.side is None or found.unit is None:
        raise DataError(f"{found}: the name lacks the sensor's side; allowed: left_ or right_")
    header = (
        f"sensor;{found.side}\nbit depth;14 bit\nwidth;{columns}\nheight;{rows}\n"
        f"resolution;high\nadvanced radiometry support;yes\nunit;{UNITS[found.unit]}\n\n"
    )
    texts = celsius_csv.TEXTS if found.unit == "celsius" else None
    lines = [
        b";".join([texts[i] for i in row] if texts else [b"%d" % i for i in row])
        for row in valid.tolist()
    ]
    return header.encode() + b"\n".join([*lines, b""])


def write_thermal(path: str | os.PathLike[str], counts: Counts) -> None:
    """Write a thermal file, whole or not at all; its name tells form, size and side.

    Raises:
        DataError: as `encode`.
    """
    path = Path(path)
    data = encode(counts, path.name)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)
