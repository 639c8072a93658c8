"""A figure of a schedule that was changed in mid-training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from hpctrain.analysis.figures import COLORS, drawing, plain_panel

Curve = tuple[Sequence[float], Sequence[float]]
_COLORS = {"before": COLORS["trilinear"], "now": COLORS["generator"]}


def change(panels: Mapping[str, Mapping[str, Curve]], step: int, title: str = "") -> Figure:
    """Draw what the schedule sets by step, before and after.

    Args:
        panels: by name of what is set, steps and values by when: `before` and `now`.
        step: of the change.
        title: put above.
    """
    with drawing():
        size = (6.4, 2.6 * len(panels) + 0.6)
        figure = Figure(figsize=size, dpi=110, facecolor="white", layout="constrained")
        rows = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, (name, curves) in zip(rows, panels.items(), strict=True):
            for when, (steps, values) in curves.items():
                axes.plot(steps, values, label=when, color=_COLORS[when], linewidth=1.6)
            axes.axvline(step, color="#6b7280", linewidth=0.8, linestyle="--")
            axes.set_ylabel(name, fontsize=9)
            axes.legend(frameon=False, fontsize=8.5)
            plain_panel(axes)
        rows[-1].set_xlabel(f"step (changed at {step})", fontsize=9)
        figure.suptitle(title if len(title) < 90 else f"{title[:86]} ...", fontsize=9.5)
        return figure
