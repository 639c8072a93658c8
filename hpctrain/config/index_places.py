"""Blocks of an index rule that say where a node stands, and what its positions show."""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from hpctrain.config.schema import Schema

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?Z?")
SUNRISE, NAUTICAL = -0.833, -12.0
"""Degrees: the sun's upper edge is on the horizon of a standard air; the end of nautical dusk."""
COLUMNS = ("sun_elevation", "daylight", "local_time", "mount", "view")
"""Columns that these blocks fill."""


def _instant(value: str) -> str:
    if not _INSTANT.fullmatch(value):
        raise ValueError(f"found {value!r}; allowed: a time in UTC such as 2023-07-04T18:00")
    return value


Instant = Annotated[str, AfterValidator(_instant)]
"""A time in UTC; a date alone is its beginning."""


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as e:
        raise ValueError(
            f"found {value!r}, which this machine knows no time zone of; allowed: names such as "
            "America/Chicago, where the system or the package tzdata has them"
        ) from e
    return value


class Place(Schema):
    """Where a node stands, or stood for some time: it may have several, before and after a move."""

    node: str
    """Which node."""
    latitude: Annotated[float, Field(ge=-90, le=90)]
    """Degrees north."""
    longitude: Annotated[float, Field(ge=-180, le=180)]
    """Degrees east."""
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None
    """Name such as America/Chicago, for the column `local_time`; null: none."""
    mount: str | None = None
    """Name of how the camera is screwed on, for the column `mount`, by which `data.optical.margins`
    of a job may differ; null: the node's."""
    after: Instant | None = None
    """Only from this time on."""
    before: Instant | None = None
    """Only before this time."""


class Daylight(Schema):
    """From which elevation of the sun on it is day, or night, in degrees; dusk is between."""

    day_from: float = SUNRISE
    """Day: the sun is this high or higher; default: as it rises or sets."""
    night_below: float = NAUTICAL
    """Night: it is lower; default: the end of nautical dusk."""

    @model_validator(mode="after")
    def _ordered(self) -> Daylight:
        if self.night_below > self.day_from:
            raise ValueError(
                f"night_below {self.night_below:g} is above day_from {self.day_from:g}; exchange "
                "them"
            )
        return self
