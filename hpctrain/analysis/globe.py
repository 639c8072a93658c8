"""All numbers of whole validation fields: by variable and shell, for one time step at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hpctrain.analysis.calibration import CalibrationSum, unevenness
from hpctrain.analysis.divergence import divergence
from hpctrain.analysis.grid import Grid
from hpctrain.analysis.histogram_distance import histogram_distance
from hpctrain.analysis.shells import shell_correlation, shell_deviation, shell_rmse
from hpctrain.analysis.spectrum import (
    FLOOR,
    log_spectrum_error,
    log_spectrum_errors,
    power_spectrum,
)
from hpctrain.analysis.zonal_spectrum import zonal_spectrum
from hpctrain.provenance.page import none_for_nan

Array = NDArray[Any]
VELOCITY = ("vx", "vy", "vz")
_CELLS = 1 << 20
"""Of one channel that are in work at a time, in float64, where shells can be taken one by one."""


class Measures:
    """Numbers of one time step; fields come one after the other, and none but the truth is kept.

    Beside the two fields in hand some shells of one variable are in work, or one whole variable
    where its distribution, or the spectrum of a box, asks for it.
    """

    def __init__(self, truth: Array, variables: Sequence[str], grid: Grid) -> None:
        """Measure the truth.

        Args:
            truth: (C, D, H, W) in physical units.
            variables: C names.
            grid: of the fields.
        """
        self._truth, self._variables, self._grid = truth, tuple(variables), grid
        deviation = _by_shells(lambda x: shell_deviation(x, grid.weights), truth)
        self._spectra = [_spectrum(channel, grid) for channel in truth]
        self._structured = [
            _has_structure(t, d, grid) for t, d in zip(truth, deviation, strict=True)
        ]
        self._found: dict[str, Any] = {
            "deviation": self._named(deviation.tolist()),
            "spectrum": {"truth": self._named([p.mean(0).tolist() for p in self._spectra])},
            **{key: {} for key in ("rmse", "correlation", "histogram_distance")},
            **{key: {} for key in ("log_spectrum_error", "shell_log_spectrum_error")},
        }
        self._add_flow("truth", truth)

    def add(self, kind: str, field: Array) -> None:
        """Measure a field against the truth.

        Args:
            kind: its name.
            field: of the truth's shape.
        """
        found, truth, weights = self._found, self._truth, self._grid.weights
        for key, measure_shells in (("rmse", shell_rmse), ("correlation", shell_correlation)):
            values = _by_shells(lambda a, b, f=measure_shells: f(a, b, weights), field, truth)
            found[key][kind] = self._named(values.tolist())
        found["histogram_distance"][kind] = self._named(
            [histogram_distance(a, b, self._grid.rows) for a, b in zip(field, truth, strict=True)]
        )
        self._add_spectra(kind, field)
        self._add_flow(kind, field)

    def calibrate(self, sums: CalibrationSum) -> None:
        """Add what an ensemble of the whole field has summed up."""
        shares = sums.rank_histograms()
        self._found |= {
            "rank_histogram": self._named(shares.tolist()),
            "rank_unevenness": self._named([unevenness(s) for s in shares]),
            "spread_over_error": self._named(sums.spreads_over_error().tolist()),
        }

    def page(self) -> dict[str, Any]:
        """All numbers.

        Returns:
            `rmse`, `correlation` by kind and variable, a list over shells; `deviation` of the
            truth; `histogram_distance`, `log_spectrum_error` by kind and variable, and
            `shell_log_spectrum_error` over shells of a sphere; `spectrum` by kind and variable, a
            mean over shells; `divergence` by kind, in 1/s of a flow in m/s on radii in km, and
            `shell_divergence` over shells; `rank_histogram`, `rank_unevenness`,
            `spread_over_error` by variable. None stands for what does not exist, such as the
            correlation with a constant shell.
        """
        known: dict[str, Any] = none_for_nan(self._found)
        return known

    def _add_spectra(self, kind: str, field: Array) -> None:
        powers, errors, of_shells = [], [], []
        for channel, q, s in zip(field, self._spectra, self._structured, strict=True):
            p = _spectrum(channel, self._grid)
            powers.append(p.mean(0).tolist())
            errors.append(log_spectrum_error(torch.from_numpy(p[s]), torch.from_numpy(q[s])))
            by_shell = log_spectrum_errors(torch.from_numpy(p), torch.from_numpy(q)).numpy()
            of_shells.append(np.where(s, by_shell, np.nan).tolist())
        self._found["spectrum"][kind] = self._named(powers)
        self._found["log_spectrum_error"][kind] = self._named(errors)
        if self._grid.weights is not None:
            self._found["shell_log_spectrum_error"][kind] = self._named(of_shells)

    def _add_flow(self, kind: str, field: Array) -> None:
        """RMS of div v: of a flow around the globe, on radii in a known unit and enough cells."""
        grid, variables = self._grid, self._variables
        if grid.weights is None or grid.radii is None or not set(VELOCITY) <= set(variables):
            return
        if not grid.is_in_km or min(field.shape[1:]) < 3:
            return
        velocity = [field[variables.index(v)] for v in VELOCITY]
        squares = _squared_divergence(velocity, grid)
        rms = np.sqrt(squares)
        self._found.setdefault("divergence", {})[kind] = float(np.sqrt(squares.mean()))
        self._found.setdefault("shell_divergence", {})[kind] = [None, *rms.tolist(), None]

    def _named(self, values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self._variables, values, strict=True))


def measure(
    fields: Mapping[str, Array], members: Array | None, variables: Sequence[str], grid: Grid
) -> dict[str, Any]:
    """Numbers of one time step whose fields are all at hand.

    Args:
        fields: `truth` and others, each (C, D, H, W) in physical units.
        members: (N, C, D, H, W), the same made with other noise; None: no ensemble.
        variables: C names.
        grid: of the fields.

    Returns:
        See `Measures.page`.
    """
    truth = fields["truth"]
    measures = Measures(truth, variables, grid)
    for kind, field in fields.items():
        if kind != "truth":
            measures.add(kind, field)
    if members is not None and len(members) > 1:
        sums = CalibrationSum(len(variables), len(members))
        sums.add(truth, members, grid.rows)
        measures.calibrate(sums)
    return measures.page()


def _by_shells(work: Callable[..., Array], *fields: Array) -> Array:
    """(C, D, ...) of a function of fields (1, d, H, W), some shells of a channel at a time."""
    depth = fields[0].shape[1]
    step = max(1, _CELLS // math.prod(fields[0].shape[2:]))
    rows = [
        np.concatenate(
            [work(*(f[c : c + 1, i : i + step] for f in fields)) for i in range(0, depth, step)],
            axis=1,
        )
        for c in range(len(fields[0]))
    ]
    return np.concatenate(rows)


def _spectrum(channel: Array, grid: Grid) -> Array:
    """(shells, K) of one variable (D, H, W); of a box or region one for the whole volume."""
    spectrum: Array
    if grid.spectrum is not None:
        (spectrum,) = _by_shells(grid.spectrum.power, channel[None])
    elif grid.weights is not None:
        weights = grid.weights
        (spectrum,) = _by_shells(lambda x: zonal_spectrum(x, weights), channel[None])
    else:
        spectrum = power_spectrum(torch.from_numpy(channel)[None, None], grid.window)[1].numpy()
    return spectrum


def _has_structure(truth: Array, deviation: Array, grid: Grid) -> Array:
    """Which rows of `_spectrum` have any in the truth, (shells,).

    A constant shell, such as a boundary of given temperature, has no spectrum to compare with: any
    error on it would count as many decades, whatever its size.

    Args:
        truth: one variable, (D, H, W).
        deviation: of its shells, (D,).
        grid: of the field.
    """
    size = np.abs(truth).max((1, 2))
    if grid.weights is None:
        deviation, size = (
            truth.std(dtype=np.float64, keepdims=True).ravel(),
            size.max(keepdims=True),
        )
    found: Array = deviation > np.sqrt(FLOOR) * np.maximum(size, deviation.max())
    return found


def _squared_divergence(velocity: Sequence[Array], grid: Grid) -> Array:
    """Mean square of div v on each shell but the first and the last, (D - 2,)."""
    assert grid.radii is not None and grid.weights is not None  # noqa: S101, PT018
    weights = grid.weights[1:-1] / grid.weights[1:-1].sum()
    depth, rows, columns = velocity[0].shape
    step = max(1, _CELLS // (rows * columns))
    found = []
    for first in range(1, depth - 1, step):
        here = slice(
            first - 1, min(first + step, depth - 1) + 1
        )  # differences need one on each side
        part = np.stack([v[here] for v in velocity])
        flow = divergence(part, grid.radii[here] * 1e3, grid.latitudes, grid.longitudes)  # type: ignore[arg-type]
        found.append(np.square(flow).mean(2) @ weights)
    return np.concatenate(found)
