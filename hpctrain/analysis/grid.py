"""Where the cells of a whole field lie, and which spectrum suits that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hpctrain.analysis.angular_spectrum import AngularSpectrum
from hpctrain.analysis.shells import area_weights, km_per, reaches_poles
from hpctrain.analysis.spectrum import Window, power_spectrum

Array = NDArray[Any]


@dataclass(frozen=True)
class Grid:
    """Where the cells of a field lie.

    Attributes:
        radii, latitudes, longitudes: centres; None where unknown. Radii are in km, or as they are
            where their unit is neither km nor m.
        weights: (H,) areas of the rows, where shells go around the whole circle of longitude.
        spectrum: of shells that reach the poles, too.
        is_box: it lies in a box, not on a sphere.
        is_periodic: all axes of the box are.
        is_in_km: the radii are, so that differences along them are derivatives in known units.
    """

    radii: Array | None
    latitudes: Array | None
    longitudes: Array | None
    weights: Array | None = None
    spectrum: AngularSpectrum | None = None
    is_box: bool = False
    is_periodic: bool = False
    is_in_km: bool = True

    @classmethod
    def of(
        cls,
        coordinates: Sequence[Array | None],
        geometry: str,
        *,
        radius_unit: str = "",
        is_periodic: bool = True,
    ) -> Grid:
        """The grid of a field.

        Args:
            coordinates: along the three axes.
            geometry: 'sphere' or 'box'.
            radius_unit: of the first axis of a sphere; empty: km.
            is_periodic: whether all axes of a box are; a sphere's are not.
        """
        radii, latitudes, longitudes = coordinates
        is_box = geometry != "sphere"
        km = km_per(radius_unit)
        if radii is not None and km is not None and not is_box:
            radii = radii * km
        if is_box or latitudes is None or longitudes is None:
            periodic = is_box and is_periodic
            return cls(radii, latitudes, longitudes, is_box=is_box, is_periodic=periodic)
        step = abs(longitudes[1] - longitudes[0])
        if abs(step * len(longitudes) - 360) > 0.5 * step:
            return cls(radii, latitudes, longitudes)
        weights = area_weights(latitudes)
        spectrum = None
        if reaches_poles(latitudes) and min(len(latitudes), len(longitudes)) > 2:
            spectrum = AngularSpectrum(latitudes, len(longitudes))
        return cls(radii, latitudes, longitudes, weights, spectrum, is_in_km=km is not None)

    @property
    def kind(self) -> str:
        """What it covers: globe, band (of latitude), region or box."""
        if self.weights is None:
            return "box" if self.is_box else "region"
        return "band" if self.spectrum is None else "globe"

    @property
    def rows(self) -> Array | None:
        """Weights that broadcast to (D, H, W)."""
        return None if self.weights is None else self.weights[:, None]

    @property
    def window(self) -> Window:
        """What lies over a box or region before its transform."""
        return None if self.is_periodic else "hann"


def wave_numbers(grid: Grid, size: Sequence[int]) -> tuple[list[float], str]:
    """Wave numbers of the spectra of whole fields, and what they count."""
    if grid.spectrum is not None:
        return grid.spectrum.degrees.astype(float).tolist(), "spherical-harmonic degree"
    if grid.weights is not None:
        return np.arange(1.0, size[2] // 2 + 1).tolist(), "waves along a circle of latitude"
    k, _ = power_spectrum(torch.zeros(1, 1, *size), grid.window)
    return k.tolist(), "cycles per box"
