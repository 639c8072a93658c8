"""What the thermal eye sees, 7.5 to 14 um, as counts of its sensor.

Radiances are added, not temperatures: Planck's law at 10.5 um. The clear sky follows a law for the
window band, in which air is nearly transparent: its emissivity grows with the air mass, from a
zenith 50 to 60 K colder than the air to the air's temperature at the horizon. A broadband law
(Swinbank) makes the zenith so warm that clouds vanish. For the band and its zenith angle see Smith
and Toumi 2008, doi 10.1175/2007JAMC1615.1; the zenith value is set from real frames.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from hpctrain.formats.celsius_csv import Counts
from hpctrain.formats.mobotix import nearest_counts
from hpctrain.samples.sky_camera import Array, Rays, air_mass, slant_range
from hpctrain.samples.sky_clouds import Weather

KELVIN = 273.15
LAPSE = 6.5e-3
"""Kelvin per metre up to the cloud base."""
VAPOUR_HEIGHT = 2000.0
"""Scale height of what emits in the window, metres."""
UNEVEN = 0.05
"""Share of its height by which the cloud base goes up and down."""
EMISSION = 0.55
"""Optical depth of cloud in the window, per visible optical depth."""
NOISE = 0.05
"""NETD in kelvin."""
BLUR = 0.6
"""Standard deviation of the lens's blur, in pixels."""
_C2 = np.float32(14387.77 / 10.5)
"""Second radiation constant over 10.5 um, in kelvin."""


def planck(kelvin: Array | float) -> Array:
    """Spectral radiance at 10.5 um, in units of the factor before the exponential."""
    result: Array = np.asarray(1 / np.expm1(_C2 / kelvin), np.float32)
    return result


def brightness(radiance: Array) -> Array:
    """The temperature in kelvin that has this radiance."""
    result: Array = np.asarray(_C2 / np.log1p(1 / radiance), np.float32)
    return result


def zenith_depth(weather: Weather) -> float:
    """Optical depth of the clear air in the window, from how cold the zenith is."""
    air = weather.air + KELVIN
    share = planck(air - weather.clear_drop) / planck(air)
    return float(-np.log1p(-share))


def clear_sky(weather: Weather, elevation: Array) -> Array:
    """Brightness temperature of the cloudless sky, degrees Celsius, by elevation in degrees."""
    seen = 1 - np.exp(-np.float32(zenith_depth(weather)) * air_mass(elevation))
    result: Array = brightness(planck(weather.air + KELVIN) * seen) - np.float32(KELVIN)
    return result


def sky_radiance(weather: Weather, rays: Rays, depth: Array, growth: Array) -> Array:
    """Radiance of sky and clouds.

    Args:
        weather: of the scan.
        rays: of the picture.
        depth: visible vertical optical depth of the cloud along each ray.
        growth: how the cloud grows towards one side; its base is a little uneven with it.
    """
    air = planck(weather.air + KELVIN)
    m = air_mass(rays.elevation)
    total = zenith_depth(weather)
    below = total * (1 - np.exp(-weather.base / VAPOUR_HEIGHT))
    through = np.exp(-np.float32(below) * m)
    height = np.float32(weather.base) * (1 - np.float32(UNEVEN) * np.tanh(growth))
    cloud = planck(np.float32(weather.air + KELVIN) - np.float32(LAPSE) * height)
    slant = np.minimum(slant_range(rays.up, weather.base) / np.float32(weather.base), 12)
    emissivity = 1 - np.exp(-np.float32(EMISSION) * depth * slant)
    above = air * (1 - np.exp(-np.float32(total - below) * m))
    behind = emissivity * cloud + (1 - emissivity) * above
    result: Array = air * (1 - through) + through * behind
    return result


def ground_temperature(weather: Weather, sun_elevation: float, texture: Array) -> Array:
    """Degrees Celsius of the ground; dark soil warms more in the sun, all of it cools at night.

    Args:
        weather: of the scan.
        sun_elevation: degrees.
        texture: (rows, columns), mean 0, variance 1; higher is darker.
    """
    sun = max(np.sin(np.radians(sun_elevation)), 0) * (1 - 0.7 * weather.cover)
    offset = 14 * sun - 3 * (1 - weather.cover) * (sun == 0)
    result: Array = np.float32(weather.air + offset) + np.float32(0.8 + 2.5 * sun) * texture
    return result


def picture(radiance: Array, rng: np.random.Generator) -> Counts:
    """Counts of the sensor: the lens blurs, the sensor adds noise and counts in steps of 0.04 K.

    Args:
        radiance: (rows, columns).
        rng: source of the noise.
    """
    kelvin = brightness(gaussian_filter(radiance, BLUR, mode="nearest"))
    kelvin += np.float32(NOISE) * rng.standard_normal(kelvin.shape, dtype=np.float32)
    return nearest_counts(kelvin - np.float32(KELVIN))
