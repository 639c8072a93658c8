"""Errors shell by shell of fields on a sphere, or layer by layer of a box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def area_weights(latitudes: Array) -> Array:
    """Share of the sphere's area that each row of a latitude grid stands for.

    Rows end half-way to their neighbours, and the outermost ones at the poles.

    Args:
        latitudes: (H,) in degrees, rising or falling, from pole to pole.

    Returns:
        (H,) float64, of sum 1.

    Raises:
        ValueError: the rows do not reach the poles, so that there is no whole sphere.
    """
    degrees = np.asarray(latitudes, np.float64)
    steps = np.diff(degrees)
    if len(degrees) < 3 or not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError("latitudes: allowed: at least 3, all rising or all falling")
    gap = 90 - max(degrees.max(), -degrees.min())
    if max(90 - abs(degrees[0]), 90 - abs(degrees[-1])) > np.abs(steps).max() * 1.01:
        raise ValueError(
            f"latitudes end {gap:.3g} degrees or more from a pole; the whole sphere is needed"
        )
    middle = 0.5 * (degrees[1:] + degrees[:-1])
    ends = np.sign(degrees[[0, -1]]) * 90
    faces = np.sin(np.deg2rad(np.concatenate(([ends[0]], middle, [ends[1]]))))
    areas: Array = np.abs(np.diff(faces)) / 2
    return areas


def shell_rmse(field: Array, truth: Array, weights: Array | None = None) -> Array:
    """Root mean square error of each shell.

    Args:
        field: (C, D, H, W); D counts the shells.
        truth: of the same shape.
        weights: (H,) of sum 1, `area_weights` of a sphere; None: all rows count alike.

    Returns:
        (C, D) float64, in the field's unit.
    """
    error = np.square(np.subtract(field, truth, dtype=np.float64))
    return np.sqrt(_mean(error, weights))


def shell_correlation(field: Array, truth: Array, weights: Array | None = None) -> Array:
    """Pearson's correlation of field and truth over each shell, which no scale or shift changes.

    Args:
        field: (C, D, H, W).
        truth: of the same shape.
        weights: as for `shell_rmse`.

    Returns:
        (C, D) float64; NaN where field or truth is constant.
    """
    a, b = (_centred(x, weights) for x in (field, truth))
    both = np.sqrt(_mean(a * a, weights) * _mean(b * b, weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.where(both > 0, _mean(a * b, weights) / both, np.nan)
    return found


def shell_deviation(field: Array, weights: Array | None = None) -> Array:
    """Standard deviation of each shell, (C, D): what an error is to be compared with."""
    centred = _centred(field, weights)
    return np.sqrt(_mean(centred * centred, weights))


def _centred(field: Array, weights: Array | None) -> Array:
    values = np.asarray(field, np.float64)
    centred: Array = values - _mean(values, weights)[..., None, None]
    return centred


def _mean(values: Array, weights: Array | None) -> Array:
    """Mean over the last two axes, rows weighted."""
    rows = values.mean(-1)
    mean: Array = rows.mean(-1) if weights is None else rows @ weights
    return mean
