"""The plot of a scaling study: throughput with the ideal line, and efficiency below it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hpctrain.analysis.figures import COLORS, save
from hpctrain.errors import ConfigError

_FAINT = "#6b7280"


def write_plot(rows: Sequence[dict[str, Any]], path: Path, title: str) -> Path:
    """Draw the rows of a study as PNG, and as SVG beside it.

    Args:
        rows: `ranks`, `samples/s` and `efficiency` of each run; those without a speed are left out.
        path: file to write, ending in .png.
        title: what was measured, and by which rule.

    Raises:
        ConfigError: no run has a speed yet.
    """
    known = sorted((r for r in rows if r["efficiency"] is not None), key=lambda r: r["ranks"])
    if not known:
        raise ConfigError(f"{path.parent}: no run of the study has a speed yet; start it first")
    figure = Figure(figsize=(6.4, 5.6), dpi=150, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    ranks = [row["ranks"] for row in known]
    _throughput(upper, ranks, [row["samples/s"] for row in known])
    _efficiency(lower, ranks, [row["efficiency"] for row in known])
    figure.suptitle(title, fontsize=10)
    vector = path.with_suffix(".svg")
    # without a date and with fixed ids the same rows give the same file
    figure.savefig(vector, metadata={"Date": None})
    return save(figure, path)


def _throughput(axes: Axes, ranks: Sequence[int], speeds: Sequence[float]) -> None:
    ideal = [speeds[0] * n / ranks[0] for n in ranks]
    axes.plot(ranks, ideal, "--", color=_FAINT, linewidth=1.2, label="ideal")
    axes.plot(ranks, speeds, "o-", color=COLORS["generator"], label="measured")
    for n, speed in zip(ranks, speeds, strict=True):
        _label(axes, n, speed, f"{speed:.4g}")
    if len(ranks) > 1:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.margins(y=0.12)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.set_ylabel("samples/s")
    axes.legend(frameon=False)
    _tidy(axes)


def _efficiency(axes: Axes, ranks: Sequence[int], values: Sequence[float]) -> None:
    axes.axhline(1.0, linestyle="--", color=_FAINT, linewidth=1.2)
    axes.plot(ranks, values, "o-", color=COLORS["generator"])
    for n, value in zip(ranks, values, strict=True):
        _label(axes, n, value, f"{value:.0%}")
    axes.set_ylim(0, max(1.1, *(1.1 * value for value in values)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.0%}"))
    axes.set_ylabel("efficiency")
    axes.set_xlabel("ranks")
    axes.xaxis.set_major_locator(FixedLocator(list(ranks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    _tidy(axes)


def _label(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), xytext=(0, -15), textcoords="offset points", ha="center")


def _tidy(axes: Axes) -> None:
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
