"""Colours of classes, the same in figures and on the page; neighbours in the list differ most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    *("#1f6fb4", "#d9822b", "#2d8a6e", "#b3488a", "#8a6d1f", "#5cb6d6"),
    *("#7a4fb5", "#a33b2b", "#8fae2d", "#e58cc0", "#3c4a99", "#5b6b5e"),
)
"""Repeated where a column has more."""
UNKNOWN = "#c3c8cf"
GREY = ("#646b78", "#9aa1ab")


def colors_of(codes: NDArray[np.integer]) -> list[str]:
    """A colour for each number of a class."""
    return [CLASSES[code % len(CLASSES)] if code >= 0 else UNKNOWN for code in codes.tolist()]
