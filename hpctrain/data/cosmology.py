"""Linear growth in a flat universe of matter and a cosmological constant."""

from __future__ import annotations

import math

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def expansion(redshift: float, omega_m: float) -> float:
    """H / H0 = sqrt(Om (1 + z)^3 + 1 - Om)."""
    return math.sqrt(omega_m * (1 + redshift) ** 3 + 1 - omega_m)


def hubble(redshift: float, omega_m: float) -> float:
    """Hubble rate in h km/s/Mpc."""
    return 100 * expansion(redshift, omega_m)


def growth_factor(redshift: float, omega_m: float) -> float:
    """Growth of linear perturbations D(z), 1 today (Heath 1977; Carroll, Press and Turner 1992).

    D is proportional to H times the integral of da / (a H)^3 from 0 to a = 1 / (1 + z).
    """
    now = expansion(0.0, omega_m) * _growth_integral(0.0, omega_m)
    return expansion(redshift, omega_m) * _growth_integral(redshift, omega_m) / now


def growth_rate(redshift: float, omega_m: float) -> float:
    """Logarithmic slope f = d ln D / d ln a, the derivative of `growth_factor`'s integral form."""
    a, h = 1 / (1 + redshift), expansion(redshift, omega_m)
    slope = -1.5 * omega_m / (a**3 * h**2)
    return slope + 1 / (a**2 * h**3 * _growth_integral(redshift, omega_m))


def _growth_integral(redshift: float, omega_m: float) -> float:
    """Integral of da / (a H/H0)^3, by Gauss and Legendre in the square root of a.

    With a = u^2 the integrand is 2 u^4 / (Om + (1 - Om) u^6)^(3/2), smooth from 0 on.
    """
    end = math.sqrt(1 / (1 + redshift))
    u = 0.5 * end * (_NODES + 1)
    values = 2 * u**4 / (omega_m + (1 - omega_m) * u**6) ** 1.5
    return float(0.5 * end * (_WEIGHTS @ values))
