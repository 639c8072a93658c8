"""Power of a field on a sphere by spherical-harmonic degree.

Longitude goes by FFT, latitude by quadrature over Legendre functions. On equal steps of latitude
such a quadrature is exact up to half as many degrees as there are rows (Driscoll & Healy 1994,
Adv. Appl. Math. 15, 202). Here its weights are found for the rows as they are, uneven or not: the
areas of the rows, changed as little as makes all polynomials in sin(latitude) up to twice the
largest degree integrate exactly. Powers are 4 pi normalised (Wieczorek & Meschede 2018, Geochem.
Geophys. Geosyst. 19, 2574): their sum over degrees is the mean square over the sphere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.analysis.shells import area_weights, reaches_poles

Array = NDArray[Any]


class AngularSpectrum:
    """Spectra on one grid; the Legendre functions are made once.

    Args:
        latitudes: (H,) in degrees, from pole to pole.
        num_longitudes: W, evenly spread around the whole circle, the first not repeated.

    Raises:
        ValueError: the rows do not reach the poles, or are too few.
    """

    def __init__(self, latitudes: Array, num_longitudes: int) -> None:
        rows = len(latitudes)
        self.num_longitudes = num_longitudes
        self.max_degree = min((rows - 1) // 2, (num_longitudes - 1) // 2)
        if self.max_degree < 1:
            raise ValueError(f"{rows} x {num_longitudes} cells are too few for a spectrum")
        if not reaches_poles(latitudes):
            raise ValueError("latitudes do not reach the poles; the whole sphere is needed")
        x = np.sin(np.deg2rad(np.asarray(latitudes, np.float64)))
        self.weights = quadrature_weights(x, area_weights(latitudes), 2 * self.max_degree)
        self.degrees = np.arange(1, self.max_degree + 1)
        """Degrees of the spectrum; 0, the mean, is no structure."""
        self._legendre = _legendre(x, self.max_degree)

    def power(self, field: Array) -> Array:
        """Power of each degree.

        Args:
            field: (..., H, W).

        Returns:
            (..., max_degree) float64, degrees 1 to max_degree, in the square of the field's unit.
        """
        return self._power(field)[..., 1:]

    def _power(self, field: Array) -> Array:
        values = np.asarray(field, np.float64)
        # The mean goes first: where quadrature is not exact it would leak into other degrees.
        values = values - (values.mean(-1) @ self.weights)[..., None, None]
        waves = np.fft.rfft(values, axis=-1)[..., : self.max_degree + 1] / self.num_longitudes
        power = np.zeros((*values.shape[:-2], self.max_degree + 1))
        for m in range(self.max_degree + 1):
            basis = self._legendre[m] * self.weights[:, None]  # (H, degrees from m on)
            found = np.einsum("...h,hl->...l", waves[..., m], basis)
            power[..., m:] += (1 if m == 0 else 2) * (found.real**2 + found.imag**2)
        return power


def quadrature_weights(x: Array, areas: Array, degree: int) -> Array:
    """Weights of sum 1 that average polynomials in x up to a degree exactly over [-1, 1].

    Args:
        x: (H,) in [-1, 1].
        areas: (H,) of sum 1, from which the weights differ as little as can be.
        degree: less than H.
    """
    conditions = np.polynomial.legendre.legvander(x, degree).T  # (degree + 1, H)
    aims = np.zeros(degree + 1)
    aims[0] = 1.0
    change: Array = np.linalg.lstsq(conditions, aims - conditions @ areas, rcond=1e-10)[0]
    return areas + change


def _legendre(x: Array, top: int) -> list[Array]:
    """For each order m the functions of degrees m to top, (H, top + 1 - m), of mean square 1.

    The recurrence in degree at fixed order is stable (Holmes & Featherstone 2002, J. Geod. 76).
    """
    cosine = np.sqrt(np.maximum(0.0, 1 - x * x))
    diagonal = np.ones_like(x)
    found = []
    for m in range(top + 1):
        if m:
            diagonal = diagonal * cosine * np.sqrt((2 * m + 1) / (2 * m))
        rows = [diagonal, x * np.sqrt(2 * m + 3) * diagonal]
        for n in range(m + 2, top + 1):
            a = np.sqrt((4 * n * n - 1) / (n * n - m * m))
            b = np.sqrt(((n - 1) ** 2 - m * m) / (4 * (n - 1) ** 2 - 1))
            rows.append(a * (x * rows[-1] - b * rows[-2]))
        found.append(np.stack(rows[: top + 1 - m], axis=1))
    return found
