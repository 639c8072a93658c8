"""A flat universe of matter and a cosmological constant: expansion, growth, linear power.

Lengths in Mpc/h, wave numbers in h/Mpc; times are scale factors a, 1 today; the Hubble rate is in
units of today's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]

BARYONS = 0.0224
"""Density of baryons, Omega_b h^2."""
CMB_K = 2.7255
"""Temperature of the microwave background."""


@dataclass(frozen=True)
class Cosmology:
    """The four parameters that CosmoFlow varies."""

    omega_m: float
    sigma_8: float
    n_spec: float
    h_0: float
    """Hubble constant in km/s/Mpc."""

    def expansion(self, a: ArrayLike) -> Array:
        """Hubble rate E(a)."""
        matter = self.omega_m / np.asarray(a, float) ** 3
        rate: Array = np.sqrt(matter + 1 - self.omega_m)
        return rate

    def growth(self, a: float) -> float:
        """Growth factor of linear density, 1 today."""
        return self._growing_mode(a) / self._growing_mode(1.0)

    def growth_rate(self, a: float) -> float:
        """Logarithmic slope f of the growth factor."""
        rate = float(self.expansion(a))
        slope = -1.5 * self.omega_m / (a**3 * rate**2)
        return slope + a / ((a * rate) ** 3 * self._growing_mode(a) / rate)

    def _growing_mode(self, a: float) -> float:
        """E(a) times the integral of da / (a E)^3 (Heath 1977)."""
        # In t = a^2.5 the integrand is smooth at 0, where it goes as a^1.5.
        return float(self.expansion(a)) * integral(
            lambda t: 0.4 * t ** (-0.6) / (t**0.4 * self.expansion(t**0.4)) ** 3, 0.0, a**2.5
        )

    def transfer(self, k: ArrayLike) -> Array:
        """Transfer function without wiggles: Eisenstein & Hu 1998, equations 26 to 31."""
        wave, h = np.asarray(k, float), self.h_0 / 100
        matter = self.omega_m * h**2
        share = BARYONS / matter
        # The sound horizon, in Mpc.
        sound = 44.5 * np.log(9.83 / matter) / np.sqrt(1 + 10 * BARYONS**0.75)
        damped = 1 - 0.328 * np.log(431 * matter) * share + 0.38 * np.log(22.3 * matter) * share**2
        shape = self.omega_m * h * (damped + (1 - damped) / (1 + (0.43 * wave * h * sound) ** 4))
        q = wave * (CMB_K / 2.7) ** 2 / shape
        log = np.log(2 * np.e + 1.8 * q)
        result: Array = log / (log + (14.2 + 731 / (1 + 62.5 * q)) * q**2)
        return result

    def power(self, k: ArrayLike) -> Array:
        """Linear power spectrum of today, in (Mpc/h)^3; 0 at k = 0."""
        return self._amplitude * self._shape(np.asarray(k, float))

    def _shape(self, k: Array) -> Array:
        positive = np.where(k > 0, k, 1.0)
        spectrum = positive**self.n_spec * self.transfer(positive) ** 2
        return np.where(k > 0, spectrum, 0.0)

    @cached_property
    def _amplitude(self) -> float:
        """What makes the spectrum's own sigma_8 the given one."""

        def variance_a_log_k(log_k: Array) -> Array:
            k = np.exp(log_k)
            x = 8 * k
            ball = 3 * (np.sin(x) - x * np.cos(x)) / x**3
            found: Array = k**3 * self._shape(k) * ball**2 / (2 * np.pi**2)
            return found

        return float(self.sigma_8**2 / integral(variance_a_log_k, np.log(1e-5), np.log(50.0), 4096))


def integral(
    function: Callable[[Array], Array], start: float, end: float, pieces: int = 256
) -> float:
    """Gauss-Legendre quadrature with four points a piece; the ends are not evaluated."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    width = (end - start) / pieces
    middles = start + width * (np.arange(pieces) + 0.5)
    at = middles[:, None] + 0.5 * width * nodes
    return float(0.5 * width * (function(at) * weights).sum())
