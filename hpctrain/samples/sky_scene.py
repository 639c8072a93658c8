"""One scene: both eyes on the same sky, side by side in one picture as the camera writes it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hpctrain.formats.celsius_csv import Counts
from hpctrain.formats.mobotix import to_celsius
from hpctrain.formats.sage_names import preset
from hpctrain.samples import sky_thermal, sky_visible
from hpctrain.samples.sky_camera import (
    ELEVATIONS,
    HALF_WIDTH,
    THERMAL_SHARE,
    THERMAL_SIZE,
    Array,
    Rays,
    optical_rays,
    thermal_rays,
)
from hpctrain.samples.sky_clouds import Deck
from hpctrain.samples.sky_ground import Ground
from hpctrain.samples.sky_plan import Scene, sun
from hpctrain.samples.sky_visible import Light, Pixels

PALETTE = ((0, 0, 0), (45, 0, 110), (150, 0, 150), (225, 60, 60), (255, 170, 0), (255, 255, 220))
"""Colours from cold to warm, as cameras paint thermal pictures."""
JPEG_QUALITY = 85
BAND_PIXELS = 1 << 15
"""Pixels that are drawn at a time: few enough for the cache, whatever the size of the picture."""


@dataclass(frozen=True)
class Surroundings:
    """What the scenes of a scan share."""

    deck: Deck
    ground: Ground


def _axis(scene: Scene) -> tuple[float, float]:
    """Azimuth and elevation of the camera."""
    tilt = ELEVATIONS[preset(scene.position).row] + scene.node.mount.elevation_error
    return scene.azimuth, tilt


def light(scene: Scene) -> Light:
    """The sun at the time of a scene."""
    elevation, azimuth = sun(scene.timestamp_ns, scene.node.latitude, scene.node.longitude)
    return Light(azimuth, elevation)


def optical_picture(
    scene: Scene, around: Surroundings, size: tuple[int, int], rng: np.random.Generator
) -> Pixels:
    """The optical half, (rows, columns, 3).

    Args:
        scene: what to draw.
        around: clouds and ground.
        size: columns, rows.
        rng: source of the noise.
    """
    rays, lit = optical_rays(*_axis(scene), *size), light(scene)
    pixel, band = 2 * HALF_WIDTH / size[0], max(BAND_PIXELS // size[0], 1)
    radiance = np.empty((size[1], size[0], 3), np.float32)
    for first in range(0, size[1], band):
        rows = slice(first, first + band)
        radiance[rows] = _optical_band(scene, around, rays.rows(rows), lit, pixel)
    return sky_visible.expose(radiance, rng)


def _optical_band(
    scene: Scene, around: Surroundings, rays: Rays, lit: Light, pixel: float
) -> Array:
    depth, growth = around.deck.depth_along(rays, scene.seconds, pixel, lit.azimuth)
    radiance = sky_visible.sky_picture(rays, lit, scene.weather, depth, growth)
    mask = around.ground.mask(rays)
    if mask.any():
        texture = around.ground.texture(rays)
        radiance[mask] = sky_visible.ground_picture(lit, scene.weather, texture[mask])
    return radiance


def thermal_counts(scene: Scene, around: Surroundings, rng: np.random.Generator) -> Counts:
    """The thermal frame."""
    rays = thermal_rays(*_axis(scene), scene.node.mount)
    lit = light(scene)
    pixel = 2 * HALF_WIDTH * THERMAL_SHARE / THERMAL_SIZE[0]
    depth, growth = around.deck.depth_along(rays, scene.seconds, pixel, lit.azimuth)
    radiance = sky_thermal.sky_radiance(scene.weather, rays, depth, growth)
    mask = around.ground.mask(rays)
    if mask.any():
        radiance[mask] = _ground_radiance(scene, around, rays, lit.elevation)[mask]
    return sky_thermal.picture(radiance, rng)


def _ground_radiance(scene: Scene, around: Surroundings, rays: Rays, sun_elevation: float) -> Array:
    texture = around.ground.texture(rays)
    celsius = sky_thermal.ground_temperature(scene.weather, sun_elevation, texture)
    return sky_thermal.planck(celsius + np.float32(sky_thermal.KELVIN))


def paint(counts: Counts, size: tuple[int, int]) -> Pixels:
    """The thermal frame in colours over its own range, as large as the optical half."""
    celsius = to_celsius(counts)
    low, high = np.percentile(celsius, (0.5, 99.5))
    share = np.clip((celsius - low) / max(high - low, 2.0), 0, 1)
    at = np.linspace(0, 1, len(PALETTE))
    channels = [np.interp(share, at, [colour[c] for colour in PALETTE]) for c in range(3)]
    image = Image.fromarray(np.stack(channels, -1).astype(np.uint8))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def jpeg(optical: Pixels, painted: Pixels) -> bytes:
    """Both halves side by side: the thermal sensor is the right one, the optical eye left."""
    file = io.BytesIO()
    Image.fromarray(np.hstack((optical, painted))).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
