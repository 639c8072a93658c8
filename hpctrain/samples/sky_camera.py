"""Where a camera with an optical and a thermal eye looks: pinhole rays, and how both eyes overlap.

Both eyes look along one axis through planes that are parallel, so that the thermal picture shows
exactly a rectangle of the optical one. Its size follows a camera of SAGE, aligned by hand: of 3072
columns, 685 on the left and 445 on the right lie outside (RBhupi/Konza_Mobo_Analysis).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

THERMAL_SIZE = (336, 252)
"""Columns, rows of the thermal sensor."""
HALF_WIDTH = 0.655
"""Tangent of half the optical angle of view: 66 degrees across."""
THERMAL_SHARE = (3072 - 685 - 445) / 3072
"""Width of the thermal picture, as a share of the optical one."""
ELEVATIONS = {"sky": 50.0, "horizon": 12.0, "below": -14.0, "ground": -42.0}
"""Axis of each row of presets, in degrees; the real ones are set on the spot."""

EARTH_RADIUS = 6.371e6


@dataclass(frozen=True)
class Mount:
    """How a node's camera was screwed on."""

    azimuth_error: float
    elevation_error: float
    """Degrees that every preset is off."""
    shift: tuple[float, float]
    """Centre of the thermal picture in the optical one, right and up, as a share of its width."""

    def crop(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of the optical picture that the thermal one shows.

        Args:
            width: of the optical half, in pixels.
            height: of the optical half, in pixels.

        Returns:
            left, top, right, bottom in pixels.
        """
        wide = THERMAL_SHARE * width
        high = wide * THERMAL_SIZE[1] / THERMAL_SIZE[0]
        left = (width - wide) / 2 + self.shift[0] * width
        top = (height - high) / 2 - self.shift[1] * width
        return left, top, left + wide, top + high


@dataclass(frozen=True)
class Rays:
    """Unit vectors of a picture's pixels, (rows, columns) each."""

    east: Array
    north: Array
    up: Array

    def cosine_to(self, azimuth: float, elevation: float) -> Array:
        """Cosine of the angle to a direction, given in degrees."""
        a, e = np.radians(azimuth), np.radians(elevation)
        result: Array = (
            self.east * np.float32(np.sin(a) * np.cos(e))
            + self.north * np.float32(np.cos(a) * np.cos(e))
            + self.up * np.float32(np.sin(e))
        )
        return result

    def rows(self, which: slice) -> Rays:
        """Those of some rows."""
        return Rays(self.east[which], self.north[which], self.up[which])

    @property
    def elevation(self) -> Array:
        """Degrees above the horizon."""
        result: Array = np.degrees(np.arcsin(self.up))
        return result


def look(azimuth: float, elevation: float, right: Array, up: Array) -> Rays:
    """Rays through points of the plane at distance 1 in front of the camera.

    Args:
        azimuth: of the axis, degrees clockwise from north.
        elevation: of the axis, degrees.
        right: (columns,) coordinates in the plane.
        up: (rows,) coordinates in the plane.
    """
    (sin_a, cos_a), (sin_e, cos_e) = _sin_cos(azimuth), _sin_cos(elevation)
    x, y = right[None, :], up[:, None]
    shorter = 1 / np.sqrt(1 + x * x + y * y)
    outward, aside = (cos_e - y * sin_e) * shorter, x * shorter
    east, north = outward * sin_a + aside * cos_a, outward * cos_a - aside * sin_a
    return Rays(east, north, (sin_e + y * cos_e) * shorter)


def _sin_cos(degrees: float) -> tuple[np.float32, np.float32]:
    angle = np.radians(degrees)
    return np.float32(np.sin(angle)), np.float32(np.cos(angle))


def _axis(centre: float, half: float, number: int) -> Array:
    """Coordinates of pixel centres."""
    result: Array = (centre + half * (2 * (np.arange(number) + 0.5) / number - 1)).astype("f4")
    return result


def optical_rays(azimuth: float, elevation: float, width: int, height: int) -> Rays:
    """Rays of the optical half, with square pixels."""
    half = HALF_WIDTH * height / width
    return look(azimuth, elevation, _axis(0, HALF_WIDTH, width), -_axis(0, half, height))


def thermal_rays(azimuth: float, elevation: float, mount: Mount) -> Rays:
    """Rays of the thermal picture, which is `Mount.crop` of the optical one."""
    width, height = THERMAL_SIZE
    half = HALF_WIDTH * THERMAL_SHARE
    right = _axis(2 * HALF_WIDTH * mount.shift[0], half, width)
    up = -_axis(-2 * HALF_WIDTH * mount.shift[1], half * height / width, height)
    return look(azimuth, elevation, right, up)


def air_mass(elevation: Array) -> Array:
    """Air along a ray, in zenith columns (Kasten and Young 1989); below the horizon as on it."""
    el = np.maximum(elevation, 0)
    result: Array = 1 / (
        np.sin(np.radians(el)) + np.float32(0.50572) * (el + np.float32(6.07995)) ** -1.6364
    )
    return result


def slant_range(up: Array, height: float) -> Array:
    """Distance in metres at which upward rays reach a height, on a round Earth."""
    b = np.float32(EARTH_RADIUS) * np.maximum(up, 0)
    result: Array = np.sqrt(b * b + np.float32(2 * EARTH_RADIUS * height + height**2)) - b
    return result
