"""Figures of a generator of fields: samples, histogram of values and power spectrum, with bands.

As in CosmoGAN's paper (Mustafa et al. 2019, figures 3 and 4): true in black with a band, made in
colour over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from hpctrain.analysis.figures import COLORS, Array, drawing, plain_panel

Curves = Mapping[str, Any]
_NAMES = {"truth": "validation", "generator": "generated"}
_COLUMNS = 4


def samples(true: Array, made: Array, title: str = "") -> Figure:
    """Draw true fields over made ones, on one colour scale that is linear up to the mean.

    Args:
        true: (N, H, W) physical values.
        made: likewise.
        title: put above.
    """
    with drawing():
        columns = min(_COLUMNS, len(true))
        figure = Figure(figsize=(2.1 * columns, 4.6), dpi=110, facecolor="white")
        figure.set_layout_engine("constrained")
        low, high = float(true.min()), float(true.max())
        bend = float(np.abs(true).mean()) or 1.0
        norm = SymLogNorm(bend, vmin=low, vmax=high if high > low else low + 1.0)
        grid = figure.subplots(2, columns, squeeze=False)
        for row, name, fields in zip(grid, _NAMES.values(), (true, made), strict=True):
            for axes, field in zip(row, fields, strict=False):
                image = axes.imshow(field, norm=norm, cmap="viridis", interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
            row[0].set_ylabel(name, fontsize=9)
        figure.colorbar(image, ax=grid, shrink=0.8, aspect=30)
        figure.suptitle(title, fontsize=9.5)
        return figure


def histogram(curves: Curves, title: str = "", unit: str = "") -> Figure:
    """Draw the densities of values; bands show the standard error of the mean over samples.

    Args:
        curves: `edges`, and `histogram/truth`, `histogram/generator` with mean and error.
        title: put above.
        unit: of the values.
    """
    edges = np.asarray(curves["edges"])
    with drawing():
        figure, axes = _one_panel(title)
        for kind, name in _NAMES.items():
            own = curves[f"histogram/{kind}"]
            mean, error = (np.asarray(own[key]) / np.diff(edges) for key in ("mean", "error"))
            axes.stairs(mean, edges, color=COLORS[kind], linewidth=1.6, label=name)
            low = np.maximum(mean - error, 0)
            band: dict[str, Any] = {"color": COLORS[kind], "alpha": 0.25, "linewidth": 0}
            axes.fill_between(
                edges,
                np.append(low, low[-1]),
                np.append(mean + error, mean[-1]),
                step="post",
                **band,
            )
        bend = max(float(np.abs(curves["mean"])), 1e-12)
        axes.set_xscale("symlog", linthresh=bend)
        axes.set_yscale("log", nonpositive="mask")
        axes.set_xlabel(f"value [{unit}]" if unit else "value", fontsize=9)
        axes.set_ylabel("density", fontsize=9)
        axes.legend(frameon=False, fontsize=8.5)
        return figure


def spectrum(curves: Curves, title: str = "", length_unit: str = "") -> Figure:
    """Draw mean power spectra; bands hold the deviation between samples.

    Args:
        curves: `k`, and `spectrum/truth`, `spectrum/generator` with mean and deviation.
        title: put above.
        length_unit: of the wave lengths.
    """
    k = np.asarray(curves["k"])
    with drawing():
        figure, axes = _one_panel(title)
        for kind, name in _NAMES.items():
            own = curves[f"spectrum/{kind}"]
            mean, deviation = np.asarray(own["mean"]), np.asarray(own["deviation"])
            axes.plot(k, mean, color=COLORS[kind], linewidth=1.6, label=name)
            low = np.maximum(mean - deviation, 0.01 * mean)
            axes.fill_between(k, low, mean + deviation, color=COLORS[kind], alpha=0.2, linewidth=0)
        axes.set_xscale("log")
        axes.set_yscale("log", nonpositive="mask")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"k [1 / ({length_unit})]" if length_unit else "k", fontsize=9)
        axes.set_ylabel("P(k)", fontsize=9)
        axes.legend(frameon=False, fontsize=8.5)
        return figure


def _one_panel(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 3.8), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots()
    plain_panel(axes)
    figure.suptitle(title, fontsize=9.5)
    return figure, axes
