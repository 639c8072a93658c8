"""What profiles over shells are drawn against; standard library only, as reports need no numpy."""

from __future__ import annotations

from collections.abc import Sequence

EARTH_RADIUS_KM = 6371.0


def is_earth(radii: Sequence[float]) -> bool:
    """Whether radii in km end at the Earth's surface."""
    return bool(0.98 * EARTH_RADIUS_KM < max(radii) <= 1.001 * EARTH_RADIUS_KM)


def heights(radii: Sequence[float] | None, count: int) -> tuple[list[float], str]:
    """Places of shells along an axis, and its name.

    Args:
        radii: in km, or in their own unit; None: unknown.
        count: of the shells.

    Returns:
        Depths below the Earth's surface where radii are the Earth's, else radii, else numbers.
    """
    if radii is None:
        return [float(i + 1) for i in range(count)], "layer"
    if is_earth(radii):
        return [EARTH_RADIUS_KM - r for r in radii], "depth, km"
    return list(radii), "radius"
