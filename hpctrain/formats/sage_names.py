"""File names of Mobotix cameras on SAGE nodes, and the presets that positions stand for.

The camera's program writes `<ns>_<W>x<H>.rgb` and `<ns>_<side>_<w>x<h>_14bit.thermal.*`; the node
uploads them as `<ns>-<name>`; the scan appends `_position<N>` to the stem. Sources:
waggle-sensor/plugin-mobotix-sampler (SinkVideo.cpp) and plugin-mobotix-scan (MobotixScan.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal, cast

from hpctrain.errors import DataError

Side = Literal["left", "right"]
"""Half of the camera's picture in which the thermal sensor is."""

DIRECTIONS = ("S", "SW", "W", "NW", "N", "NE", "E", "SE")
"""Columns of a scan, in the order of their positions."""
ROWS = ("sky", "horizon", "below", "ground")
"""Positions inside a column, from the top down."""
SKY_POSITIONS = tuple(range(1, 33, 4))

_NAME = re.compile(
    r"(?:(?P<prefix>.+?)(?<!left)(?<!right)(?P<separator>[-_]))?"
    r"(?:(?P<side>left|right)_)?(?P<width>\d+)x(?P<height>\d+)"
    r"(?:_(?P<depth>14bit|unknown)\.thermal(?:\.(?P<unit>celsius|uint))?)?"
    r"(?:_position(?P<position>\d+|NA))?"
    r"\.(?P<extension>csv|raw|rgb|jpg|jpeg)"
)
_NO_POSITION = "NA"


@dataclass(frozen=True)
class SageName:
    """A name, taken apart; `str()` gives it back."""

    prefix: str
    """What stands before the camera's part: mostly nanoseconds since 1970; may be empty."""
    separator: str
    """`-` as uploaded, `_` as the camera writes it."""
    side: Side | None
    """Half with the thermal sensor; None for pictures and where the name does not say."""
    width: int
    height: int
    unit: Literal["celsius", "uint", "raw"] | None
    """How temperatures are stored; None for pictures."""
    position: int | None
    """Preset of the scan; 0 without a pan and tilt unit; None where it is unknown."""
    extension: str
    position_text: str | None = None
    """As written behind `_position`; None where the name has no such part."""
    depth: str = "14bit"

    @property
    def is_thermal(self) -> bool:
        """Whether the file holds temperatures."""
        return self.unit is not None

    @property
    def timestamp_ns(self) -> int | None:
        """Nanoseconds since 1970, UTC; None where the prefix is no time."""
        if re.fullmatch(r"\d{16,19}", self.prefix):
            return int(self.prefix)
        if re.fullmatch(r"\d{8}-\d{6}", self.prefix):
            try:
                time = datetime.strptime(self.prefix, "%Y%m%d-%H%M%S")
            except ValueError:
                return None
            return int(time.replace(tzinfo=timezone.utc).timestamp()) * 10**9
        return None

    def __str__(self) -> str:
        """The file name."""
        stem = f"{self.prefix}{self.separator}{f'{self.side}_' if self.side else ''}"
        stem += f"{self.width}x{self.height}"
        if self.unit:
            stem += f"_{self.depth}.thermal" + (f".{self.unit}" if self.unit != "raw" else "")
        if self.position_text is not None:
            stem += f"_position{self.position_text}"
        return f"{stem}.{self.extension}"


def parse_name(name: str) -> SageName:
    """Take a file name apart.

    Args:
        name: without folders.

    Raises:
        DataError: it is not a name of a Mobotix picture or thermal file.
    """
    found = _NAME.fullmatch(name)
    part = found.groupdict() if found else {}
    extension = part.get("extension")
    unit = part.get("unit") or ("raw" if part.get("depth") else None)
    allowed = {"celsius": ("csv",), "uint": ("csv",), "raw": ("raw",), None: ("jpg", "jpeg", "rgb")}
    if not found or extension not in allowed[unit] or (part["side"] and not unit):
        raise DataError(
            f"{name!r}: is not a name of a Mobotix file; such names look like "
            "'<ns>-6144x2048_position1.jpg' or "
            "'<ns>-right_336x252_14bit.thermal.celsius_position1.csv'"
        )
    position = part["position"]
    return SageName(
        prefix=part["prefix"] or "",
        separator=part["separator"] or "",
        side=cast("Side | None", part["side"]),
        width=int(part["width"]),
        height=int(part["height"]),
        unit=cast("Literal['celsius', 'uint', 'raw'] | None", unit),
        position=int(position) if position and position != _NO_POSITION else None,
        extension=extension or "",
        position_text=position,
        depth=part["depth"] or "14bit",
    )


def frame_name(timestamp_ns: int, width: int, height: int, position: int | None) -> str:
    """Name of an uploaded picture, both halves side by side; without position where it is None."""
    text = None if position is None else str(position)
    return str(SageName(str(timestamp_ns), "-", None, width, height, None, position, "jpg", text))


def thermal_name(
    timestamp_ns: int,
    side: Side,
    size: tuple[int, int],
    position: int | None,
    unit: Literal["celsius", "uint", "raw"] = "celsius",
) -> str:
    """Name of an uploaded thermal file.

    Args:
        timestamp_ns: nanoseconds since 1970; a picture and its thermal file share it.
        side: half of the picture in which the thermal sensor is.
        size: width, height.
        position: of the scan; None leaves it out.
        unit: what the file holds; `raw` is the binary form.
    """
    text = None if position is None else str(position)
    extension = "raw" if unit == "raw" else "csv"
    return str(SageName(str(timestamp_ns), "-", side, *size, unit, position, extension, text))


@dataclass(frozen=True)
class Preset:
    """Where the camera looks at one position of the 32."""

    position: int
    direction: str
    """Compass point."""
    row: str
    """sky, horizon, below or ground."""

    @property
    def azimuth(self) -> float:
        """Degrees clockwise from north."""
        return (180.0 + 45.0 * DIRECTIONS.index(self.direction)) % 360


def preset(position: int) -> Preset:
    """What a position of the 32 stands for.

    Raises:
        DataError: it is not 1 to 32.
    """
    if not 1 <= position <= len(DIRECTIONS) * len(ROWS):
        raise DataError(f"position {position}: is no preset of the scan; allowed: 1 to 32")
    column, row = divmod(position - 1, len(ROWS))
    return Preset(position, DIRECTIONS[column], ROWS[row])
