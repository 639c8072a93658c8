"""What chance decides of each crop: a function of (seed, epoch, sample, crop) alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.pair_views import ColourChanges, ThermalChanges, Views
from hpctrain.data.scroll.random import Draws

GEOMETRY, CHANGES = 51, 52
"""Keys of the random streams."""
_TRIES = 10
"""Draws of a part that must lie within the picture; then the largest of the last shape is taken."""


class Part(NamedTuple):
    """What a crop shows, in shares of the picture."""

    top: float
    left: float
    height: float
    width: float
    angle: float
    """In radians, by which the crop is turned about its centre."""
    across: float
    """-1: mirrored left to right, else 1."""
    down: float
    """-1: mirrored top to bottom, else 1."""


WHOLE = Part(0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0)


class Drawing:
    """Draws the crops of one data set; safe for threads."""

    def __init__(self, views: Views, seed: int, aspects: tuple[float, float]) -> None:
        """Remember the settings.

        Args:
            views: of the `data:` block.
            seed: of the run.
            aspects: width over height of the scene over that of a crop: of global crops, and of
                local ones; with it a stretch of 1 leaves shapes as they are.
        """
        self._views, self._seed, self._aspects = views, seed, aspects

    def part(self, i: int, epoch: int, view: int) -> Part:
        """What crop `view` of sample i shows in an epoch, in both modalities."""
        views, draws = self._views, Draws(GEOMETRY, self._seed, epoch, i, view)
        flips = [draws.share(), draws.share()]
        turn = 2 * draws.share() - 1
        is_local = view >= views.count
        scale = views.local_scale if is_local else views.scale
        top, left, height, width = self._box(draws, scale, self._aspects[is_local])
        return Part(
            top,
            left,
            height,
            width,
            math.radians(views.rotation) * turn,
            -1.0 if flips[0] < views.flip else 1.0,
            -1.0 if flips[1] < views.flip_vertical else 1.0,
        )

    def _box(
        self, draws: Draws, scale: tuple[float, float], aspect: float
    ) -> tuple[float, float, float, float]:
        """A part of the picture with some area and stretch, anywhere."""
        low, high = (math.log(n) for n in self._views.ratio)
        height = width = 1.0
        for _ in range(_TRIES):
            area = scale[0] + (scale[1] - scale[0]) * draws.share()
            stretch = math.exp(low + (high - low) * draws.share()) / aspect
            height, width = math.sqrt(area / stretch), math.sqrt(area * stretch)
            if height <= 1 and width <= 1:
                break
        else:
            longest = max(height, width)
            height, width = height / longest, width / longest
        return draws.share() * (1 - height), draws.share() * (1 - width), height, width

    def colour(self, i: int, epoch: int, view: int, branch: int) -> NDArray[np.float64]:
        """Brightness, contrast, saturation, hue in radians, blur and threshold of a crop.

        Returns:
            (6,): factors of 1, a blur of 0 and a threshold of 2 change nothing.
        """
        own, draws = self._views.colour, self._draws(i, epoch, view, branch)
        is_changed, is_grey, is_blurred, is_inverted = (
            draws.share() < self._views.share(shares, view)
            for shares in (own.probability, own.grey, own.blur, own.solarise)
        )
        changed = _changed(own, [draws.share() for _ in range(4)])
        sigma = _between(own.blur_sigma, draws.share())
        brightness, contrast, saturation, hue = changed if is_changed else (1.0, 1.0, 1.0, 0.0)
        return np.array(
            [
                brightness,
                contrast,
                0.0 if is_grey else saturation,
                hue,
                sigma if is_blurred else 0.0,
                own.solarise_from if is_inverted else 2.0,
            ]
        )

    def thermal(self, i: int, epoch: int, view: int, branch: int) -> NDArray[np.float64]:
        """Gain, offset in kelvins, blur, standard deviation of noise of a crop's temperatures."""
        own, draws = self._views.thermal, self._draws(i, epoch, view, branch)
        is_blurred = draws.share() < self._views.share(own.blur, view)
        sigma = _between(own.blur_sigma, draws.share())
        return _thermal(own, draws, sigma if is_blurred else 0.0)

    def noise_key(self, i: int, epoch: int, view: int, branch: int) -> int:
        """What the noise of a crop's pixels follows from: 62 bits."""
        return self._draws(i, epoch, view, branch, 1).below(1 << 62)

    def _draws(self, i: int, epoch: int, view: int, branch: int, kind: int = 0) -> Draws:
        return Draws(CHANGES, self._seed, epoch, i, view, branch, kind)


def _changed(own: ColourChanges, shares: list[float]) -> tuple[float, float, float, float]:
    sizes = own.brightness, own.contrast, own.saturation
    a, b, c = (1 + size * (2 * share - 1) for size, share in zip(sizes, shares, strict=False))
    return a, b, c, 2 * math.pi * own.hue * (2 * shares[3] - 1)


def _thermal(own: ThermalChanges, draws: Draws, sigma: float) -> NDArray[np.float64]:
    gain = math.exp(own.gain_std * draws.normal())
    return np.array([gain, own.offset_std_k * draws.normal(), sigma, own.noise_std_k])


def _between(limits: tuple[float, float], share: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * share
