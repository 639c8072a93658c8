"""All numbers of whole validation fields: by variable and shell, for one time step at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hpctrain.analysis.angular_spectrum import AngularSpectrum
from hpctrain.analysis.calibration import rank_histogram, spread_over_error, unevenness
from hpctrain.analysis.divergence import divergence
from hpctrain.analysis.histogram_distance import histogram_distance
from hpctrain.analysis.shells import (
    area_weights,
    reaches_poles,
    shell_correlation,
    shell_deviation,
    shell_rmse,
)
from hpctrain.analysis.spectrum import FLOOR, Window, log_spectrum_error, power_spectrum
from hpctrain.analysis.zonal_spectrum import zonal_spectrum

Array = NDArray[Any]
VELOCITY = ("vx", "vy", "vz")
_KM_PER: dict[str, float] = {
    **dict.fromkeys(("", "km", "kilometer", "kilometers", "kilometre", "kilometres"), 1.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e-3),
}
"""By unit of the radii; a file that gives none is taken to mean km."""


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
        km = _KM_PER.get(radius_unit.strip().lower())
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


def measure(
    fields: Mapping[str, Array], members: Array | None, variables: Sequence[str], grid: Grid
) -> dict[str, Any]:
    """Numbers of one time step.

    Args:
        fields: `truth` and others, each (C, D, H, W) in physical units.
        members: (N, C, D, H, W), the same made with other noise; None: no ensemble.
        variables: C names.
        grid: of the fields.

    Returns:
        `rmse`, `correlation` by kind and variable, a list over shells; `deviation` of the truth;
        `histogram_distance`, `log_spectrum_error` by kind and variable; `spectrum` by kind and
        variable, a mean over shells; `divergence` by kind, in 1/s of a flow in m/s on radii in km;
        `rank_histogram`, `spread_over_error` by variable. None stands for what does not exist, such
        as the correlation with a constant shell.
    """
    truth = fields["truth"]
    structured = _has_structure(truth, grid)
    spectra = {kind: _spectra(field, grid) for kind, field in fields.items()}
    found: dict[str, Any] = {
        "deviation": _named(variables, shell_deviation(truth, grid.weights)),
        "spectrum": {k: _named(variables, p.mean(1)) for k, p in spectra.items()},
    }
    parts: dict[str, dict[str, Any]] = {
        key: {} for key in ("rmse", "correlation", "histogram_distance", "log_spectrum_error")
    }
    for kind, field in fields.items():
        if kind == "truth":
            continue
        parts["rmse"][kind] = _named(variables, shell_rmse(field, truth, grid.weights))
        parts["correlation"][kind] = _named(
            variables, shell_correlation(field, truth, grid.weights)
        )
        parts["histogram_distance"][kind] = {
            v: histogram_distance(a, b, grid.rows)
            for v, a, b in zip(variables, field, truth, strict=True)
        }
        parts["log_spectrum_error"][kind] = {
            v: log_spectrum_error(torch.from_numpy(p[s]), torch.from_numpy(q[s]))
            for v, p, q, s in zip(
                variables, spectra[kind], spectra["truth"], structured, strict=True
            )
        }
    found |= parts
    flow = _divergences(fields, variables, grid)
    if flow:
        found["divergence"] = flow
    if members is not None and len(members) > 1:
        found |= _calibration(truth, members, variables, grid)
    known: dict[str, Any] = _none_for_nan(found)
    return known


def wave_numbers(grid: Grid, size: Sequence[int]) -> tuple[list[float], str]:
    """Wave numbers of the spectra of `measure`, and what they count."""
    if grid.spectrum is not None:
        return grid.spectrum.degrees.astype(float).tolist(), "spherical-harmonic degree"
    if grid.weights is not None:
        return np.arange(1.0, size[2] // 2 + 1).tolist(), "waves along a circle of latitude"
    k, _ = power_spectrum(torch.zeros(1, 1, *size), _window(grid))
    return k.tolist(), "cycles per box"


def _spectra(field: Array, grid: Grid) -> Array:
    """(C, shells, K); of a box or region one for the whole volume."""
    if grid.spectrum is not None:
        return grid.spectrum.power(field)
    if grid.weights is not None:
        return zonal_spectrum(field, grid.weights)
    _, power = power_spectrum(torch.from_numpy(field)[None], _window(grid))
    spectra: Array = power.numpy()[:, None]
    return spectra


def _has_structure(truth: Array, grid: Grid) -> Array:
    """Which rows of `_spectra` have any in the truth, (C, shells).

    A constant shell, such as a boundary of given temperature, has no spectrum to compare with: any
    error on it would count as many decades, whatever its size.
    """
    shells = truth if grid.weights is not None else truth.reshape(len(truth), 1, 1, -1)
    deviation = shell_deviation(shells, grid.weights)
    rounding = np.maximum(np.abs(shells).max((2, 3)), deviation.max(1, keepdims=True))
    found: Array = deviation > np.sqrt(FLOOR) * rounding
    return found


def _window(grid: Grid) -> Window:
    return None if grid.is_periodic else "hann"


def _divergences(
    fields: Mapping[str, Array], variables: Sequence[str], grid: Grid
) -> dict[str, float]:
    """Root mean square of div v, by kind; empty where there is none.

    It needs a flow around the globe, radii in a known unit, and three cells along each axis.
    """
    if grid.weights is None or grid.radii is None or not set(VELOCITY) <= set(variables):
        return {}
    if not grid.is_in_km or min(fields["truth"].shape[1:]) < 3:
        return {}
    axes = grid.radii * 1e3, grid.latitudes, grid.longitudes
    channels = [variables.index(v) for v in VELOCITY]
    weights = grid.weights[1:-1] / grid.weights[1:-1].sum()
    found = {}
    for kind, field in fields.items():
        squares = np.square(divergence(field[channels], *axes)).mean((0, 2))  # type: ignore[arg-type]
        found[kind] = float(np.sqrt(squares @ weights))
    return found


def _calibration(
    truth: Array, members: Array, variables: Sequence[str], grid: Grid
) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {
        key: {} for key in ("rank_histogram", "rank_unevenness", "spread_over_error")
    }
    for c, variable in enumerate(variables):
        shares = rank_histogram(truth[c], members[:, c], grid.rows)
        found["rank_histogram"][variable] = shares.tolist()
        found["rank_unevenness"][variable] = unevenness(shares)
        found["spread_over_error"][variable] = spread_over_error(truth[c], members[:, c], grid.rows)
    return found


def _none_for_nan(content: Any) -> Any:
    """The same with None for what is no finite number, which JSON does not have."""
    if isinstance(content, Mapping):
        return {key: _none_for_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_none_for_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _named(variables: Sequence[str], rows: Array) -> dict[str, list[float]]:
    return {v: row.tolist() for v, row in zip(variables, rows, strict=True)}
