"""A flat deck of fractal clouds: optical depth at every point above the ground.

Power falls with wavenumber k as k^-3 in the plane, as in fields of liquid water, below an outer
scale that grows with the deck's height. A second, finer tile carries the spectrum on where the
camera is near enough to see it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2
from scipy.special import ndtri

from hpctrain.samples.sky_camera import Array, Rays, slant_range

COARSE, FINE = 1024, 512
"""Cells of the two tiles along each side."""
FINER = 16
"""Fine cells along a coarse one."""
SPECTRUM = 1.5
"""Amplitude falls as k^-1.5: power as k^-3."""
OUTER_CELLS = 70
"""Outer scale, in coarse cells."""
SHADE_CELLS = 6
"""How far towards the sun a cloud is compared with itself, in coarse cells."""


def fractal(number: int, longest: float, shortest: float, rng: np.random.Generator) -> Array:
    """A periodic Gaussian field with power k^-3 between two wavelengths.

    Args:
        number: cells along each side.
        longest: wavelength above which power no longer grows, in cells.
        shortest: wavelength at which it is cut off, in cells.
        rng: source of the phases.

    Returns:
        (number, number) float32, mean 0, variance 1.
    """
    k = np.hypot(np.fft.fftfreq(number)[:, None], np.fft.rfftfreq(number)).astype(np.float32)
    amplitude = (k * k + np.float32(1 / longest**2)) ** np.float32(-SPECTRUM / 2)
    amplitude[k > 1 / shortest] = 0
    amplitude[0, 0] = 0
    shape = (*k.shape, 2)
    noise = rng.standard_normal(shape, dtype=np.float32).view(np.complex64)[..., 0]
    field = irfft2(noise * amplitude, s=(number, number))
    result: Array = ((field - field.mean()) / field.std()).astype(np.float32)
    return result


def sample_tile(tile: Array, x: Array, y: Array) -> Array:
    """Bilinear values of a periodic tile whose side is a power of two; x, y in cells."""
    last = len(tile) - 1
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    i, j = y0.astype(np.int32) & last, x0.astype(np.int32) & last
    flat, down, right = tile.ravel(), ((i + 1) & last) * len(tile), (j + 1) & last
    here = i * len(tile)
    top = flat.take(here + j)
    top += fx * (flat.take(here + right) - top)
    bottom = flat.take(down + j)
    bottom += fx * (flat.take(down + right) - bottom)
    top += fy * (bottom - top)
    return top


@dataclass(frozen=True)
class Weather:
    """What the sky is like during one scan."""

    air: float
    """Air temperature at the ground, degrees Celsius."""
    cover: float
    """Share of the deck with cloud, 0 to 1."""
    base: float
    """Height of the deck above the camera, metres."""
    depth: float
    """Scale of the optical depth."""
    clear_drop: float
    """How much colder the clear zenith is than the air, in kelvin, in the window band."""
    haze: float
    """Optical depth of aerosol."""
    wind: tuple[float, float]
    """Of the deck, m/s to the east and north."""


class Deck:
    """The clouds of one scan; they drift with the wind."""

    def __init__(self, weather: Weather, rng: np.random.Generator) -> None:
        self.weather = weather
        self.cell = 0.02 * weather.base
        self._coarse = fractal(COARSE, OUTER_CELLS, 2, rng)
        self._fine = fractal(FINE, 2 * FINER, 2, rng)
        # Power of k^-3 in the plane gives variance as wavelength: what the fine tile goes on with.
        self._fine_share = np.float32(np.sqrt(2 / OUTER_CELLS))
        self._threshold = np.float32(-ndtri(min(max(weather.cover, 1e-6), 0.999)))

    def depth_along(
        self, rays: Rays, seconds: float, pixel: float, sun_azimuth: float
    ) -> tuple[Array, Array]:
        """Optical depth of the cloud that each upward ray meets.

        Args:
            rays: of a picture; those that do not rise get no meaningful value.
            seconds: since the scan began.
            pixel: angle of a pixel, radians.
            sun_azimuth: degrees.

        Returns:
            Vertical optical depth, 0 where it is clear, and by how many standard deviations the
            cloud grows towards the sun; (rows, columns) each.
        """
        base, cell = self.weather.base, self.cell
        s = slant_range(rays.up, base)
        x = (rays.east * s + np.float32(self.weather.wind[0] * seconds)) / np.float32(cell)
        y = (rays.north * s + np.float32(self.weather.wind[1] * seconds)) / np.float32(cell)
        # A pixel covers that many cells along the ray; beyond a few, single clouds blur.
        footprint = s * s * np.float32(pixel / (base * cell))
        near = 1 / (1 + np.square(footprint * FINER / 4))
        amount = sample_tile(self._coarse, x, y)
        a = np.radians(sun_azimuth)
        dx, dy = np.float32(SHADE_CELLS * np.sin(a)), np.float32(SHADE_CELLS * np.cos(a))
        growth = sample_tile(self._coarse, x + dx, y + dy) - amount
        fine = sample_tile(self._fine, x * FINER, y * FINER)
        amount += self._fine_share * near * fine
        amount = np.maximum(amount - self._threshold, 0)
        depth = np.float32(self.weather.depth) * amount * np.sqrt(amount)
        far = 1 / (1 + np.square(footprint / 8))
        depth = far * depth + (1 - far) * np.float32(self._far_depth)
        return depth, growth

    @property
    def _far_depth(self) -> float:
        """Depth of the deck as a whole; towards the horizon clouds hide the gaps behind them."""
        gaps = 1 - min(self.weather.cover, 0.98)
        return float(-2 * np.log(gaps))
