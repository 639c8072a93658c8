"""How many pixels at the border of a window are worse than its middle, as a validation found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

MIDDLE = 0.5
"""Up to this distance from the centre, as a share of half the window, errors are the middle's."""
WORSE = 1.5
"""Times the middle's error from which on a pixel is not worth its place."""
_MOST = 4
"""At least half of a window is kept along each axis: at most a fourth of it goes at either side."""


class Measured(NamedTuple):
    """What the run's last validation has found."""

    curve: Mapping[str, Sequence[float]]
    """For `border_of`."""
    epoch: int | None
    """After which it was; None: not known."""


def last_measured(run_dir: Path) -> Measured | None:
    """The errors of the run's last validation; None: it has measured nothing.

    Args:
        run_dir: with eval/summary.json.
    """
    try:
        page = json.loads((run_dir / "eval" / "summary.json").read_text())
        curve = page["error_by_distance"]
        pairs = zip(curve["distance"], curve["mse"], strict=True)
        if not all(isinstance(value, float | int) for pair in pairs for value in pair):
            return None
        return Measured(curve, page.get("epoch"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def border_of(curve: Mapping[str, Sequence[float]], window: int) -> int | None:
    """The outermost pixels of which each is worse than the middle, counted from the outside.

    Args:
        curve: `distance` from the centre (1: the edge) and `mse` there, rising in distance.
        window: pixels along an axis.
    """
    pairs = list(zip(curve["distance"], curve["mse"], strict=True))
    # a square shell has pixels in proportion to its distance
    middle = [(d, d * error) for d, error in pairs if d <= MIDDLE]
    if not middle or not sum(d for d, _ in middle):
        return None
    limit = WORSE * sum(error for _, error in middle) / sum(d for d, _ in middle)
    reach = 1.0
    for distance, error in reversed(pairs):
        if distance <= MIDDLE or error <= limit:
            reach = distance
            break
    # the pixel at this distance stays: its outer side is half a pixel further out
    return min(max(0, math.floor((1 - reach) * window / 2)), window // _MOST)
