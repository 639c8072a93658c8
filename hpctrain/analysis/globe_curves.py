"""Curves of whole fields on a globe: spectra, errors by depth, divergence, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from hpctrain.analysis.depth import heights
from hpctrain.analysis.figures import COLORS
from hpctrain.analysis.globe_figures import FAINT, INK, TITLES

Array = NDArray[Any]


def spectra(page: Mapping[str, Any]) -> Figure:
    """Power by degree, mean over shells and time steps, with the range of the time steps."""
    variables, steps = page["variables"], page["steps"]
    k = np.array(page["k"])
    figure, grid = _columns(variables, 2, [2.2, 1.0])
    for c, variable in enumerate(variables):
        curves = {
            kind: np.array([step["spectrum"][kind][variable] for step in steps], float)
            for kind in steps[0]["spectrum"]
        }
        for kind, powers in curves.items():
            _band(grid[0, c], k, powers, kind)
            if kind != "truth":
                with np.errstate(divide="ignore", invalid="ignore"):
                    _band(grid[1, c], k, powers / curves["truth"], kind)
        grid[1, c].axhline(1.0, color=COLORS["truth"], linewidth=1.0, linestyle=(0, (4, 3)))
        grid[0, c].set_title(variable, fontsize=10, color=INK, fontweight="bold")
        positive = curves["truth"][curves["truth"] > 0]
        if positive.size:  # a constant variable has no logarithm
            _logarithmic(grid[:, c], float(positive.min()))
    per = {"globe": "degree", "band": "wave number"}.get(page["geometry"], "mode")
    grid[0, 0].set_ylabel(f"power per {per}")
    grid[1, 0].set_ylabel("ratio to truth")
    figure.supxlabel(str(page["k_unit"]), fontsize=9, color=FAINT)
    _legend(figure, grid[0, 0])
    return figure


def _logarithmic(panels: Array, least: float) -> None:
    """Scales of powers and, below, of their ratio to the truth's, of which `least` is the least."""
    for panel in panels:
        panel.set(xscale="log", yscale="log")
        panel.xaxis.set_major_formatter(LogFormatter())
    # Where the truth has no power left, only rounding noise is compared.
    panels[0].set_ylim(0.1 * least)
    low, high = panels[1].get_ylim()
    low, high = max(low, 1e-2), max(min(high, 1e1), 2.0)
    panels[1].set_ylim(low, high)
    steps = (1.0,) if high > 30 * low else (1.0, 2.0, 5.0)  # all that have room
    panels[1].yaxis.set_major_locator(LogLocator(subs=steps))
    panels[1].yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    panels[1].yaxis.set_minor_formatter(NullFormatter())


_PROFILES = (
    ("rmse", "RMSE / deviation of the shell"),
    ("correlation", "correlation with the truth"),
    ("shell_log_spectrum_error", "log-spectrum error, decades"),
)


def profiles(page: Mapping[str, Any], title: str = "") -> Figure:
    """RMSE as a share of the truth's deviation, correlation, and error of spectra over depth."""
    variables, steps = page["variables"], page["steps"]
    height, label = _heights(page)
    rows = [(key, text) for key, text in _PROFILES if steps[0].get(key)]
    figure, grid = _columns(variables, len(rows), [1.0] * len(rows), 2.5 * len(rows), sharey=True)
    for c, variable in enumerate(variables):
        deviation = _values(steps, "deviation", variable).mean(0)
        for row, (key, text) in zip(grid, rows, strict=True):
            for kind in steps[0][key]:
                values = _values(steps, key, kind, variable)
                if key == "rmse":
                    with np.errstate(divide="ignore", invalid="ignore"):
                        values = np.where(deviation > 0, values / deviation, np.nan)
                _band(row[c], height, values, kind, is_upright=True)
            row[c].set_xlabel(text, fontsize=8.5, color=FAINT)
            row[c].xaxis.set_major_locator(MaxNLocator(4))
            if key != "correlation":
                row[c].set_xlim(left=0)
        grid[0, c].set_title(variable, fontsize=10, color=INK, fontweight="bold")
    for row in grid:
        row[0].set_ylabel(label)
    if label.startswith("depth"):
        grid[0, 0].invert_yaxis()
    _legend(figure, grid[0, 0])
    if title:
        figure.supxlabel(title, fontsize=9, color=FAINT)
    return figure


def flow(page: Mapping[str, Any]) -> Figure:
    """Root mean square of the divergence of the velocity, over depth, of each kind of field."""
    steps = page["steps"]
    height, label = _heights(page)
    figure, grid = _columns(["divergence of the velocity"], 1, [1.0], height=3.4)
    panel = grid[0, 0]
    for kind in steps[0]["shell_divergence"]:
        _band(panel, height, _values(steps, "shell_divergence", kind), kind, is_upright=True)
    panel.set_xlabel("RMS of div v, 1/s", fontsize=8.5, color=FAINT)
    panel.set_ylabel(label)
    panel.set_xlim(left=0)
    panel.ticklabel_format(axis="x", useMathText=True)
    panel.xaxis.get_offset_text().set(fontsize=8, color=FAINT)
    if label.startswith("depth"):
        panel.invert_yaxis()
    _legend(figure, panel)
    return figure


def _values(steps: Sequence[Mapping[str, Any]], *keys: str) -> Array:
    """Values over shells of all steps, (steps, shells); NaN where there is none."""
    rows = []
    for step in steps:
        found: Any = step
        for key in keys:
            found = found[key]
        rows.append(np.array(found, float))
    return np.stack(rows)


def _heights(page: Mapping[str, Any]) -> tuple[Array, str]:
    radii = page["radii"]
    count = len(next(iter(page["steps"][0]["deviation"].values())))
    places, label = heights(radii, count)
    return np.array(places), label


def calibration(page: Mapping[str, Any]) -> Figure:
    """Rank histograms of the truth among the members, mean over time steps."""
    variables, steps = page["variables"], page["steps"]
    figure, grid = _columns(variables, 1, [1.0], height=2.9)
    for panel, variable in zip(grid[0], variables, strict=True):
        shares = np.mean([step["rank_histogram"][variable] for step in steps], axis=0)
        known = [s for step in steps if (s := step["spread_over_error"][variable]) is not None]
        spread = float(np.mean(known)) if known else float("nan")
        ranks = np.arange(1, len(shares) + 1)
        panel.bar(ranks, shares, width=0.9, color=COLORS["generator"])
        panel.axhline(1 / len(shares), color=COLORS["truth"], linewidth=1, linestyle=(0, (4, 3)))
        panel.set_title(variable, fontsize=10, color=INK, fontweight="bold", pad=16)
        panel.text(
            0.5, 1.02, f"spread / error {spread:.2g}", transform=panel.transAxes, ha="center",
            va="bottom", fontsize=8.5, color=FAINT,
        )  # fmt: skip
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid[0, 0].set_ylabel("share of cells")
    figure.supxlabel(
        f"rank of the truth among {page['members']} members (dashed: calibrated)",
        fontsize=9, color=FAINT,
    )  # fmt: skip
    return figure


def _columns(
    variables: Sequence[str],
    rows: int,
    ratios: Sequence[float],
    height: float = 5.0,
    sharey: bool = False,
) -> tuple[Figure, Any]:
    width = max(4.6, 2.9 * len(variables))
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white", layout="constrained")
    grid = figure.subplots(
        rows, len(variables), squeeze=False, height_ratios=list(ratios), sharey=sharey
    )
    for panel in grid.ravel():
        panel.grid(True, color="#e5e7eb", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set(color="#9aa1ab", linewidth=0.7)
        panel.tick_params(which="both", labelsize=8, color="#9aa1ab", labelcolor=INK, width=0.6)
        panel.yaxis.label.set(fontsize=9, color=FAINT)
    return figure, grid


def _band(panel: Axes, x: Array, rows: Array, kind: str, is_upright: bool = False) -> None:
    """The mean of some curves, and their range behind it."""
    mean, low, high = rows.mean(0), rows.min(0), rows.max(0)
    style: dict[str, Any] = {"color": COLORS[kind], "alpha": 0.18, "linewidth": 0}
    line: dict[str, Any] = {
        "color": COLORS[kind],
        "linewidth": 1.7,
        "label": TITLES.get(kind, kind),
    }
    if is_upright:
        panel.fill_betweenx(x, low, high, **style)
        panel.plot(mean, x, **line)
    else:
        panel.fill_between(x, low, high, **style)
        panel.plot(x, mean, **line)


def _legend(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9
    )
