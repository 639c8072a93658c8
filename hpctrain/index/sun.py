"""How high the sun stands: a formula of a few terms, without any package."""

from __future__ import annotations

from math import asin, atan2, cos, degrees, radians, sin

NS_OF_DAY = 86_400_000_000_000
_J2000 = 10957.5
"""Days from 1970-01-01 to 2000-01-01 12:00."""


def sun_elevation(timestamp_ns: int, latitude: float, longitude: float) -> float:
    """Elevation of the sun's centre above the horizon in degrees, without refraction.

    The Astronomical Almanac's low-precision formula in the form of Michalsky (1988, Solar Energy
    40, 227): within 0.01 degrees from 1950 to 2050. The air lifts the sun by 0.5 degrees at the
    horizon and by less than 0.1 above 10.

    Args:
        timestamp_ns: since 1970, UTC.
        latitude: degrees north.
        longitude: degrees east.
    """
    day = timestamp_ns / NS_OF_DAY - _J2000
    anomaly = radians(357.528 + 0.9856003 * day)
    mean = 280.460 + 0.9856474 * day
    ecliptic = radians(mean + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    tilt = radians(23.439 - 4e-7 * day)
    ascension = atan2(cos(tilt) * sin(ecliptic), cos(ecliptic))
    declination = asin(sin(tilt) * sin(ecliptic))
    hours = 24 * (timestamp_ns % NS_OF_DAY) / NS_OF_DAY
    sidereal = 6.697375 + 0.0657098242 * day + hours
    angle = radians(15 * sidereal + longitude) - ascension
    phi = radians(latitude)
    height = sin(declination) * sin(phi) + cos(declination) * cos(phi) * cos(angle)
    return degrees(asin(max(-1.0, min(1.0, height))))
