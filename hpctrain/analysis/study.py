"""The figure of a study: validation by samples and time, by rate, or error by distance."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpctrain.analysis.figures import drawing, plain_panel, save
from hpctrain.provenance import Stamp, embed

PALETTE = ("#1f6fb4", "#d9822b", "#2e8b57", "#b3488a", "#6b7280", "#8c6d1f", "#1b1b1b")
"""Told apart also when colour-blind; a further arm takes the first colour again, dashed."""
_FAINT = "#6b7280"
_QUANTILE = 0.98
"""Losses above this share of all do not stretch an axis: a run that diverges has some."""

_LETTERS_AN_INCH = 12

Plot = Mapping[str, Any]


def write_plot(plot: Plot, path: Path, stamp: Stamp) -> Path:
    """Draw the answer of a study as PNG, and as SVG beside it.

    Args:
        plot: what `hpctrain.study` found: a view, a title, curves.
        path: file to write, ending in .png.
        stamp: put into both.
    """
    vector = path.with_suffix(".svg")
    # without a date and with ids that follow from the content the same answer gives the same file
    with drawing(), rc_context({"svg.hashsalt": "hpctrain"}):
        figure = _DRAW[plot["view"]](plot)
        width = int(_LETTERS_AN_INCH * figure.get_figwidth())
        figure.suptitle(textwrap.fill(plot["title"], width), fontsize=9.5)
        figure.savefig(vector, metadata={"Date": None})
    embed(vector, stamp)
    return save(figure, path, stamp)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    width = 5.2 if count == 1 else 4.4 * count
    figure = Figure(figsize=(width, 3.7), dpi=130, facecolor="white", layout="constrained")
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    for axes in panels:
        plain_panel(axes)
    return figure, panels


def _curves(plot: Plot) -> Figure:
    """Validation over samples; beside it over time, or the training loss over samples."""
    has_loss = plot["loss"] is not None
    figure, panels = _panels(2 if plot["is_timed"] or has_loss else 1)
    _lines(panels[0], plot, "samples", "values", "o-")
    _named(panels[0], "training samples", plot["metric"])
    if has_loss:
        _lines(panels[1], plot, "training_samples", "training_loss", "-", width=0.7)
        _named(panels[1], "training samples", f"training loss ({plot['loss']})")
    elif plot["is_timed"]:
        _lines(panels[1], plot, "seconds", "values", "o-")
        clock = "CPU seconds" if plot["clock"] == "cpu" else "seconds"
        _named(panels[1], f"{clock} of training", plot["metric"])
        if plot["common_s"] is not None:
            style: dict[str, Any] = {"color": _FAINT, "linewidth": 1.0, "linestyle": "--"}
            panels[1].axvline(plot["common_s"], label="equal time", **style)
    figure.legend(*_legend(panels), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _legend(panels: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= {label: h for h, label in zip(handles, labels, strict=True) if label not in found}
    return list(found.values()), list(found)


def _lines(axes: Axes, plot: Plot, x: str, y: str, mark: str, width: float = 1.4) -> None:
    """A line a run, a colour an arm; the seeds of an arm are named once."""
    named: set[int] = set()
    for curve in plot["curves"]:
        arm = curve["arm"]
        label = None if arm in named else curve["label"]
        named.add(arm)
        color = PALETTE[arm % len(PALETTE)]
        style: dict[str, Any] = {"color": color, "linewidth": width, "markersize": 2.5}
        if arm >= len(PALETTE):
            mark = f"{mark.rstrip('-')}--"
        axes.plot(curve[x], curve[y], mark, label=label, **style)
    _cut(axes, [value for curve in plot["curves"] for value in curve[y]])


def _cut(axes: Axes, values: Sequence[float]) -> None:
    """Leave out the few values, such as those of the first steps, that would flatten all else."""
    ordered = sorted(values)
    if len(ordered) < 20:
        return
    low, high = ordered[0], ordered[int(_QUANTILE * (len(ordered) - 1))]
    if ordered[-1] - low > 1.5 * (high - low) > 0:
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def _named(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)


def _rates(plot: Plot) -> Figure:
    """The last validation over the rate, a line a schedule; bars from the best to the worst."""
    figure, (axes,) = _panels(1)
    for number, curve in enumerate(plot["curves"]):
        below = [v - low for v, low in zip(curve["values"], curve["lowest"], strict=True)]
        above = [high - v for v, high in zip(curve["values"], curve["highest"], strict=True)]
        color = PALETTE[number % len(PALETTE)]
        style: dict[str, Any] = {"color": color, "linewidth": 1.4, "markersize": 4}
        bars = [[max(0.0, x) for x in below], [max(0.0, x) for x in above]]
        label = curve["label"]
        axes.errorbar(
            curve["rates"], curve["values"], yerr=bars, fmt="o-", capsize=3, label=label, **style
        )
    axes.set_xscale("log")
    _named(axes, "learning rate", plot["metric"])
    axes.legend(frameon=False, fontsize=8)
    return figure


def _range(plot: Plot) -> Figure:
    """The training loss over the rate, as it is and smoothed."""
    figure, (axes,) = _panels(1)
    shown: list[float] = []
    for number, curve in enumerate(plot["curves"]):
        color = PALETTE[number % len(PALETTE)]
        axes.plot(curve["rates"], curve["losses"], color=color, linewidth=0.5, alpha=0.5)
        label = f"seed {curve['seed']}, smoothed"
        axes.plot(curve["rates"], curve["smooth"], color=color, linewidth=1.6, label=label)
        start, low = curve["smooth"][0], min(curve["smooth"])
        shown += [low - 0.1 * (start - low), start + 0.5 * (start - low)]
    axes.set_xscale("log")
    if max(shown) > min(shown):
        axes.set_ylim(min(shown), max(shown))
    style: dict[str, Any] = {"color": _FAINT, "linewidth": 1.0}
    axes.axvline(plot["suggested"], linestyle="--", label="a tenth of the lowest", **style)
    axes.axvline(plot["rate"], linestyle=":", label="the job's", **style)
    _named(axes, "learning rate", f"training loss ({plot['loss']})")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _distance(plot: Plot) -> Figure:
    """The error over the distance from the centre, a line a seed."""
    figure, (axes,) = _panels(1)
    for number, curve in enumerate(plot["curves"]):
        color, label = PALETTE[number % len(PALETTE)], f"seed {curve['seed']}"
        axes.plot(curve["distance"], curve["mse"], ".-", color=color, label=label)
    axes.axvspan(0, plot["inner"], color="#e5e7eb", alpha=0.5, linewidth=0, label="middle")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    _named(axes, "distance from the centre (1: surface)", "mean squared error")
    axes.legend(frameon=False, fontsize=8)
    return figure


_DRAW: dict[str, Callable[[Plot], Figure]] = {
    "curves": _curves,
    "rates": _rates,
    "range": _range,
    "distance": _distance,
}
