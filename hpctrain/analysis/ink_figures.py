"""Figures of ink detection: windows, a region beside labels and infrared, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hpctrain.analysis.figures import COLORS, Array, drawing, plain_panel
from hpctrain.analysis.volume_figures import bare, limits

_NAMES = ("middle layer", "labels", "mask", "probability, labels outlined")
_LABEL = COLORS["trilinear"]
_FAINT: dict[str, Any] = {"color": "#9aa1ab", "linewidth": 0.8, "linestyle": "--"}
_TITLES = {
    "labels": "labels (white: ink)",
    "ink": "probability of ink (white: 1)",
}
_HALF = 0.5
Span = tuple[int, int]


def windows(layer: Array, label: Array, mask: Array, probability: Array, title: str = "") -> Figure:
    """Draw windows, a row each: the scan's middle layer, labels, where they count, and the result.

    Args:
        layer: (N, H, W) normalised grey values.
        label: (N, H, W) in [0, 1].
        mask: (N, H, W) of 0 and 1.
        probability: (N, H, W).
        title: put above.
    """
    low, high = limits(layer)
    with drawing():
        rows = len(layer)
        figure = Figure(figsize=(7.2, 1.8 * rows + 0.7), dpi=110, facecolor="white")
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, 4, squeeze=False)
        for panels, *pictures in zip(grid, layer, label, mask, probability, strict=True):
            for axes, picture, name in zip(panels, pictures, _NAMES, strict=True):
                scale = (low, high) if name == _NAMES[0] else (0.0, 1.0)
                axes.imshow(
                    picture, vmin=scale[0], vmax=scale[1], cmap="gray", interpolation="nearest"
                )
                bare(axes)
            _outline(panels[-1], pictures[1])
        for axes, name in zip(grid[0], _NAMES, strict=True):
            axes.set_title(name, fontsize=8.5)
        figure.suptitle(title, fontsize=9.5)
        return figure


def region(
    panels: Mapping[str, Array], title: str = "", boxes: Sequence[tuple[Span, Span]] = ()
) -> Figure:
    """Draw pictures of one region beside each other: infrared, labels, probability of ink.

    Args:
        panels: (H, W) by name; of infrared any grey values, of the others 0 to 1.
        title: put above.
        boxes: [start, stop) of rows and of columns, such as what was held out; framed.
    """
    height, width = next(iter(panels.values())).shape
    count = len(panels)
    is_wide = width > height
    if is_wide:
        size = (9.0, count * (9.0 * height / width + 0.35) + 0.4)
    else:
        size = (count * max(5.0 * width / height, 2.6), 5.8)
    with drawing():
        figure = Figure(figsize=size, dpi=130, facecolor="white", layout="constrained")
        shape = (count, 1) if is_wide else (1, count)
        grid = figure.subplots(*shape, squeeze=False).ravel()
        for axes, (name, picture) in zip(grid, panels.items(), strict=True):
            known = picture[np.isfinite(picture)]
            low, high = limits(known) if name == "infrared" and known.size else (0.0, 1.0)
            axes.imshow(picture, vmin=low, vmax=high, cmap="gray", interpolation="nearest")
            axes.set_title(_TITLES.get(name, name), fontsize=8.5)
            axes.set_facecolor("#9db3c8")
            bare(axes)
            for (top, bottom), (left, right) in boxes:
                corner, sides = (left - 0.5, top - 0.5), (right - left, bottom - top)
                axes.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=_LABEL, linewidth=1))
        figure.suptitle(title, fontsize=9.5)
        return figure


def curves(found: Mapping[str, Any], title: str = "") -> Figure:
    """Draw precision against recall, F0.5 and Dice against the threshold, and the calibration.

    Args:
        found: `threshold`, `precision`, `recall`, `f05`, `dice`, `calibration`,
            `calibration_error`, and `f05_best` and `f05_threshold`, which are None where there is
            no ink.
        title: put above.
    """
    with drawing():
        figure = Figure(figsize=(10.5, 3.4), dpi=110, facecolor="white", layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        line: dict[str, Any] = {"color": COLORS["generator"], "linewidth": 1.6}
        other: dict[str, Any] = {"color": COLORS["trilinear"], "linewidth": 1.6}
        left.plot(found["recall"], found["precision"], **line)
        # all pixels are found at the lowest threshold, so that precision is the share of ink
        left.axhline(found["precision"][0], label="any guess", **_FAINT)
        left.legend(frameon=False, fontsize=8.5, loc="upper right")
        left.set_xlabel("recall", fontsize=9)
        left.set_ylabel("precision", fontsize=9)
        middle.plot(found["threshold"], found["f05"], label="F0.5", **line)
        middle.plot(found["threshold"], found["dice"], label="Dice", **other)
        at, best = found["f05_threshold"], found["f05_best"]
        if best is None:
            middle.set_xlabel("threshold (no ink)", fontsize=9)
        else:
            middle.plot([at], [best], "o", color=COLORS["truth"], markersize=4)
            middle.set_xlabel(f"threshold (F0.5 {best:.3f} at {at:.3f})", fontsize=9)
        middle.legend(frameon=False, fontsize=8.5)
        own = found["calibration"]
        right.plot([0, 1], [0, 1], label="right on average", **_FAINT)
        right.plot(own["predicted"], own["ink"], marker="o", markersize=4, **line)
        right.legend(frameon=False, fontsize=8.5, loc="upper left")
        error = found["calibration_error"]
        told = "" if error is None else f" (off by {error:.3f} on average)"
        right.set_xlabel(f"predicted probability{told}", fontsize=9)
        right.set_ylabel("share of ink", fontsize=9)
        for axes in (left, middle, right):
            plain_panel(axes)
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
        figure.suptitle(title, fontsize=9.5)
        return figure


def _outline(axes: Axes, label: Array) -> None:
    """Draw where labels end, if they do."""
    if label.min() < _HALF < label.max():
        axes.contour(label, [_HALF], colors=_LABEL, linewidths=0.8)
