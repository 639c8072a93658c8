"""Divergence of a velocity on a grid of shells, from its Cartesian components."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def divergence(velocity: Array, radii: Array, latitudes: Array, longitudes: Array) -> Array:
    """Sum over the local axes e of e . (derivative of v along e), by central differences.

    Derivatives are those of the Cartesian components, which are smooth also at the poles, so that
    no terms of curvature are needed, and a rigid rotation has no divergence but rounding.
    Differences are of second order on uneven steps too; the outermost shells and rows have none.

    Args:
        velocity: (3, D, H, W): vx, vy, vz; z points north, x to longitude 0.
        radii: (D,) in any unit.
        latitudes: (H,) in degrees.
        longitudes: (W,) in degrees, evenly spread around the whole circle.

    Returns:
        (D - 2, H - 2, W) float64, in the velocity's unit over that of the radii.

    Raises:
        ValueError: fewer than 3 shells, rows or columns.
    """
    v = np.asarray(velocity, np.float64)
    shape = (len(radii), len(latitudes), len(longitudes))
    if v.shape != (3, *shape) or min(shape) < 3:
        raise ValueError(f"velocity {v.shape} does not fit a grid of {shape} cells, 3 at least")
    phi, lam = (np.deg2rad(np.asarray(x, np.float64)) for x in (latitudes, longitudes))
    r = np.asarray(radii, np.float64)[:, None, None]
    step = (lam[1] - lam[0]) % (2 * np.pi)
    step = step - 2 * np.pi if step > np.pi else step
    outward, north, east = _axes(phi, lam)
    cosine = np.cos(phi)[:, None]
    along_r = np.gradient(v, r[:, 0, 0], axis=1)
    along_phi = np.gradient(v, phi, axis=2)
    along_lam = (np.roll(v, -1, axis=3) - np.roll(v, 1, axis=3)) / (2 * step)
    with np.errstate(divide="ignore", invalid="ignore"):  # a row on a pole, which is cut off
        total: Array = (
            np.einsum("chw,cdhw->dhw", outward, along_r)
            + np.einsum("chw,cdhw->dhw", north, along_phi) / r
            + np.einsum("chw,cdhw->dhw", east, along_lam) / (r * cosine)
        )
    return total[1:-1, 1:-1]


def _axes(phi: Array, lam: Array) -> tuple[Array, Array, Array]:
    """Unit vectors outward, north and east, each (3, H, W)."""
    sin_phi, cos_phi = np.sin(phi)[:, None], np.cos(phi)[:, None]
    sin_lam, cos_lam = np.sin(lam), np.cos(lam)
    flat = np.ones_like(phi)[:, None]
    zero = np.zeros((len(phi), len(lam)))
    outward = np.stack((cos_phi * cos_lam, cos_phi * sin_lam, sin_phi + zero))
    north = np.stack((-sin_phi * cos_lam, -sin_phi * sin_lam, cos_phi + zero))
    east = np.stack((-flat * sin_lam, flat * cos_lam, zero))
    return outward, north, east
