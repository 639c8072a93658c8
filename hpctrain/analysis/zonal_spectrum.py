"""Power of a field by wave number along longitude: for bands of latitude that reach no pole.

There a quadrature over Legendre functions does not exist, while each circle of latitude is periodic
and its transform exact. Wave number m counts waves around the circle, so that one m stands for
shorter waves nearer to the poles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def zonal_spectrum(field: Array, weights: Array) -> Array:
    """Mean power of each wave number over the rows, weighted by their areas.

    Args:
        field: (..., H, W), W cells around the whole circle.
        weights: (H,) of sum 1.

    Returns:
        (..., W // 2) float64, wave numbers 1 to W // 2; their sum is the mean square about the mean
        of each row (Parseval).
    """
    values = np.asarray(field, np.float64)
    count = values.shape[-1]
    waves = np.fft.rfft(values, axis=-1)[..., 1:] / count
    power = 2 * (waves.real**2 + waves.imag**2)
    if count % 2 == 0:
        power[..., -1] /= 2  # it meets its own conjugate
    mean: Array = np.einsum("...hk,h->...k", power, weights)
    return mean
