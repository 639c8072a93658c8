"""How far two distributions of values lie apart: the Wasserstein-1, or earth mover's, distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def histogram_distance(values: Array, others: Array, weights: Array | None = None) -> float:
    """Mean distance that values must move to be distributed as the others.

    The integral of |F - G| over the two cumulative distributions (Vallender 1974, Theory Probab.
    Appl. 18, 784), exact, without bins.

    Args:
        values: any shape.
        others: of the same shape.
        weights: of the same shape or one that broadcasts to it, not negative; None: all alike.

    Returns:
        The distance, in the unit of the values.
    """
    a, b = np.asarray(values, np.float64), np.asarray(others, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"values {a.shape} and others {b.shape} differ in shape")
    if weights is None:  # sorted values are matched one to one
        return float(np.mean(np.abs(np.sort(a, axis=None) - np.sort(b, axis=None))))
    w = np.broadcast_to(np.asarray(weights, np.float64), a.shape).ravel()
    both = np.concatenate((a.ravel(), b.ravel()))
    signed = np.concatenate((w, -w)) / w.sum()
    order = np.argsort(both, kind="stable")
    difference = np.cumsum(signed[order])[:-1]
    return float(np.sum(np.abs(difference) * np.diff(both[order])))
