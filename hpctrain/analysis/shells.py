"""Errors shell by shell of fields on a sphere, or layer by layer of a box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_KM_PER: dict[str, float] = {
    **dict.fromkeys(("", "km", "kilometer", "kilometers", "kilometre", "kilometres"), 1.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e-3),
}
"""By unit of the radii; a file that gives none is taken to mean km."""


def km_per(unit: str) -> float | None:
    """Kilometres in a unit of radii, such as `m`; None: not known."""
    return _KM_PER.get(unit.strip().lower())


def area_weights(latitudes: Array) -> Array:
    """Share of the area that each row of a latitude grid stands for.

    Rows end half-way to their neighbours, the outermost ones as far out, or at a pole.

    Args:
        latitudes: (H,) in degrees, rising or falling.

    Returns:
        (H,) float64, of sum 1.

    Raises:
        ValueError: fewer than 2 rows, or in no order.
    """
    degrees = np.asarray(latitudes, np.float64)
    steps = np.diff(degrees)
    if len(steps) < 1 or not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError("latitudes: allowed: at least 2, all rising or all falling")
    middle = degrees[:-1] + 0.5 * steps
    ends = degrees[0] - 0.5 * steps[0], degrees[-1] + 0.5 * steps[-1]
    faces = np.concatenate((ends[:1], middle, ends[1:]))
    if reaches_poles(degrees):
        faces[[0, -1]] = 90 * np.sign(degrees[[0, -1]])
    areas = np.abs(np.diff(np.sin(np.deg2rad(np.clip(faces, -90, 90)))))
    shares: Array = areas / areas.sum()
    return shares


def reaches_poles(latitudes: Array) -> bool:
    """Whether rows cover the whole sphere: the outermost ones within a step of the poles."""
    degrees = np.asarray(latitudes, np.float64)
    gap = 90 - min(degrees.max(), -degrees.min())
    return bool(gap <= 1.01 * np.abs(np.diff(degrees)).max())


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
