"""What the optical eye sees: scattered sunlight, clouds lit from above, ground, a small sensor.

Three channels. Rayleigh scattering once with its phase function, aerosol with a forward peak, a
share of light that is scattered more than once; clouds by the two-stream transmission of their
optical depth; below the horizon the light that is left in twilight. The exposure is automatic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpctrain.samples.sky_camera import Array, Rays, air_mass, slant_range
from hpctrain.samples.sky_clouds import Weather

Pixels = NDArray[np.uint8]

RAYLEIGH = np.array([0.0058, 0.0135, 0.0331], np.float32) * 8
"""Vertical optical depth in red, green, blue: per kilometre, times the scale height of air."""
HAZE = np.array([0.88, 1.0, 1.22], np.float32)
"""Optical depth of aerosol by channel, relative: Angstrom exponent 1.2."""
SUN = np.array([1.0, 0.97, 0.92], np.float32)
"""Colour of sunlight above the air."""
FORWARD = 0.76
"""Asymmetry of aerosol scattering."""
AIR_HEIGHT, HAZE_HEIGHT = 8000.0, 1500.0
SUN_RADIUS = 0.267
TWILIGHT = ((-90, -18, -12, -6, 0, 6, 90), (-6.6, -6.5, -5.4, -3.2, -0.9, 0.0, 0.0))
"""Sun's elevation in degrees, decimal logarithm of the sky's light."""
MAX_GAIN = 3e3
"""Of the automatic exposure; at night it is not enough."""
KEY = 0.30
"""Mean of the picture that the exposure aims at."""


@dataclass(frozen=True)
class Light:
    """Where the sun is, and what is left of its light."""

    azimuth: float
    elevation: float

    @property
    def level(self) -> float:
        """Light of the sky, as a share of that with the sun well up."""
        return float(10 ** np.interp(self.elevation, *TWILIGHT))

    @property
    def path(self) -> float:
        """Air mass to the sun; while it is down, that of a ray that grazes high air."""
        return float(air_mass(np.array(max(self.elevation, 2.0), np.float32)))


def _henyey_greenstein(cosine: Array, g: float) -> Array:
    """Phase function, 1 on average."""
    result: Array = (
        np.float32(1 - g * g) / (np.float32(1 + g * g) - np.float32(2 * g) * cosine) ** 1.5
    )
    return result


def clear_sky(rays: Rays, light: Light, haze: float) -> Array:
    """Radiance of the cloudless sky, (rows, columns, 3)."""
    cosine = rays.cosine_to(light.azimuth, light.elevation)
    m = air_mass(rays.elevation)
    rayleigh = np.float32(0.75) * (1 + cosine * cosine)
    aerosol = np.minimum(_henyey_greenstein(cosine, FORWARD), 30)
    # Rays that rise see air higher up, which a low sun reaches through less air: the zenith stays
    # blue while the horizon turns red.
    low = 1 - np.maximum(rays.up, 0)
    path = min(light.path, 5.0) + np.float32(max(light.path - 5.0, 0)) * low * low * low
    out = np.empty((*m.shape, 3), np.float32)
    for c, tau in enumerate(RAYLEIGH):
        aerosols = haze * float(HAZE[c])
        both = float(tau) + aerosols
        # Light reaches a ray from the side: half of the way down, on average.
        arriving = SUN[c] * np.exp(np.float32(-0.6 * both) * path)
        single = (tau * rayleigh + np.float32(0.9 * aerosols) * aerosol) / np.float32(both)
        more = np.float32(0.35 + 0.9 * both)
        out[..., c] = (single + more) * arriving * (1 - np.exp(-np.float32(both) * m)) / 4
    out *= np.float32(light.level)
    return out


def skylight(light: Light, haze: float) -> Array:
    """Mean radiance of the cloudless sky, (3,)."""
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False, dtype=np.float32)[None, :]
    up = np.array([0.2, 0.5, 0.8], np.float32)[:, None]
    flat = np.sqrt(1 - up * up)
    rays = Rays(flat * np.sin(turn), flat * np.cos(turn), up + 0 * turn)
    mean: Array = np.median(clear_sky(rays, light, haze), axis=1).mean(axis=0)
    return mean


def cloud_radiance(light: Light, haze: float, depth: Array, growth: Array, cosine: Array) -> Array:
    """Radiance of the deck's under side, (rows, columns, 3).

    Args:
        light: of the sun.
        haze: optical depth of aerosol.
        depth: vertical optical depth.
        growth: how the cloud grows towards the sun.
        cosine: of the angle to the sun.
    """
    mu = np.float32(np.sin(np.radians(max(light.elevation, 6.0))))
    # Two streams: what is not sent back by an albedo of tau / (tau + 7.7) comes down.
    passed = 7.7 / (depth + np.float32(7.7))
    forward = np.exp(-depth / 2) - np.exp(np.float32(-1.5) * depth)
    forward *= np.minimum(_henyey_greenstein(cosine, 0.85), 12)
    shade = 1 - np.float32(0.35) * np.tanh(growth)
    lit = mu * (passed - np.exp(-depth / mu)) * shade + np.float32(0.06) * forward
    beam = SUN * np.exp(-(RAYLEIGH + np.float32(0.3 * haze) * HAZE) * np.float32(0.8 * light.path))
    out: Array = lit[..., None] * (np.float32(0.85 * light.level) * beam)
    around = (1 - np.exp(-depth)) * (np.float32(0.35) + np.float32(0.65) * passed)
    out += around[..., None] * (np.float32(0.8) * skylight(light, haze))
    return out


def sky_picture(rays: Rays, light: Light, weather: Weather, depth: Array, growth: Array) -> Array:
    """Radiance of sky, clouds and sun, (rows, columns, 3); nothing meaningful below the horizon."""
    cosine = rays.cosine_to(light.azimuth, light.elevation)
    clear = clear_sky(rays, light, weather.haze)
    slant = slant_range(rays.up, weather.base)
    along = np.minimum(slant / np.float32(weather.base), 8)
    opaque = 1 - np.exp(-depth * np.minimum(along, 3))
    cloud = cloud_radiance(light, weather.haze, depth, growth, cosine)
    for c, tau in enumerate(RAYLEIGH):
        per_metre = tau / np.float32(AIR_HEIGHT) + np.float32(
            0.3 * weather.haze * HAZE[c] / HAZE_HEIGHT
        )
        share = opaque * np.exp(-per_metre * slant)
        clear[..., c] += share * (cloud[..., c] - clear[..., c])
    if light.elevation > -SUN_RADIUS:
        disk = np.float32(np.cos(np.radians(2 * SUN_RADIUS)))
        beam = (
            40
            * SUN
            * np.exp(-(RAYLEIGH + np.float32(weather.haze) * HAZE) * np.float32(light.path))
        )
        seen = np.where(cosine > disk, np.exp(-depth * along), 0)
        clear += seen[..., None] * beam
    return clear


def ground_picture(light: Light, weather: Weather, texture: Array) -> Array:
    """Radiance of grass and soil, (rows, columns, 3); `texture` as for the thermal eye."""
    grass = np.array([0.045, 0.062, 0.022], np.float32)
    soil = np.array([0.095, 0.070, 0.045], np.float32)
    dark = 1 / (1 + np.exp(np.float32(1.5) * texture))[..., None]
    sun = max(np.sin(np.radians(light.elevation)), 0) * (1 - 0.6 * weather.cover)
    result: Array = (grass + (soil - grass) * dark) * np.float32((1.2 * sun + 0.35) * light.level)
    return result


def expose(radiance: Array, rng: np.random.Generator) -> Pixels:
    """Pixels of a small sensor: automatic exposure, noise, vignetting, gamma.

    Args:
        radiance: (rows, columns, 3).
        rng: source of the noise.

    Returns:
        (rows, columns, 3) uint8.
    """
    rows, columns, _ = radiance.shape
    y, x = np.linspace(-1, 1, rows, dtype="f4")[:, None], np.linspace(-1, 1, columns, dtype="f4")
    fall = (1 - np.float32(0.22) * np.square(x * x + y * y) / 4 * 2)[..., None]
    gain = min(KEY / float(np.median(radiance.mean(-1)) + 1e-9), MAX_GAIN)
    signal = radiance * (fall * np.float32(gain))
    noise = np.sqrt(np.float32(1e-5) + np.float32(2e-5) * signal * np.float32(1 + gain / 300))
    read = np.float32(0.004 * np.sqrt(1 + gain / 100))
    signal += (noise + read) * rng.standard_normal(signal.shape, dtype=np.float32)
    # A shoulder instead of a hard end, so that bright clouds keep their shape.
    np.maximum(signal, 0, out=signal)
    signal = 1 - np.exp(-np.float32(1.6) * signal)
    result: Pixels = (255 * signal ** np.float32(1 / 2.2) + np.float32(0.5)).astype(np.uint8)
    return result
