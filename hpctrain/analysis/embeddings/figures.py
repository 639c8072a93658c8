"""Figures of embeddings: maps with pairs joined, corner plots, spectra, retrieval and clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hpctrain.analysis.embeddings.blocks import Array, sample_rows
from hpctrain.analysis.embeddings.classify import Labels
from hpctrain.analysis.embeddings.palette import GREY, colors_of
from hpctrain.analysis.figures import drawing, plain_panel

BRANCHES = ("#1f6fb4", "#c8701a", "#2d8a6e")
"""One colour a branch, in order."""
_MARKERS = ("o", "^", "s")
_MOST_LINES = 2000
_MOST_POINTS = 4000
_MOST_NAMES = 12


def joined_map(
    places: Mapping[str, Array], labels: Labels | None, rows: Array, title: str = ""
) -> Figure:
    """Draw a map of all branches, with a line from each picture to its twin.

    Args:
        places: (M, 2) by branch.
        labels: colours; None: one colour a branch.
        rows: (M,) numbers of the rows, for the labels.
        title: put above.
    """
    with drawing():
        figure = Figure(figsize=(7.2, 6.2), dpi=130, facecolor="white", layout="constrained")
        axes = figure.subplots()
        some = sample_rows(len(rows), _MOST_POINTS, 2)
        own = list(places.values())
        if len(own) > 1:
            lines = some[sample_rows(len(some), _MOST_LINES, 3)]
            ends = np.stack([own[0][lines], own[1][lines]], axis=1)
            axes.add_collection(LineCollection(list(ends), colors="#00000018", linewidths=0.4))
        for i, (name, points) in enumerate(places.items()):
            axes.scatter(
                points[some, 0],
                points[some, 1],
                s=6,
                marker=_MARKERS[i % 3],
                c=BRANCHES[i % 3] if labels is None else colors_of(labels.codes[rows[some]]),
                linewidths=0,
                alpha=0.75,
                label=name,
            )
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.autoscale_view()
        axes.spines[:].set(color="#9aa1ab", linewidth=0.6)
        _legend(axes, places, labels)
        figure.suptitle(title, fontsize=9.5)
        return figure


def corner(
    points: Array, shares: Array, labels: Labels | None, rows: Array, title: str = ""
) -> Figure:
    """Draw the first principal components against each other, histograms on the diagonal.

    Args:
        points: (M, K), K from 2 to 5.
        shares: (K,) of the variance.
        labels: colours.
        rows: (M,) numbers of the rows, for the labels.
        title: put above.
    """
    count = points.shape[1]
    some = sample_rows(len(points), _MOST_POINTS, 2)
    codes = None if labels is None else labels.codes[rows[some]]
    with drawing():
        side = 1.7 * count + 0.6
        figure = Figure(figsize=(side, side), dpi=120, facecolor="white", layout="constrained")
        grid = figure.subplots(count, count, sharex="col", squeeze=False)
        for i in range(count):
            for j in range(count):
                axes = grid[i, j]
                if j > i:
                    axes.set_axis_off()
                elif j == i:
                    _histogram(axes, points[some, i], codes)
                else:
                    colors = BRANCHES[0] if codes is None else colors_of(codes)
                    style: dict[str, Any] = {"s": 3, "c": colors, "linewidths": 0, "alpha": 0.5}
                    axes.scatter(points[some, j], points[some, i], **style)
                if j <= i:
                    plain_panel(axes)
                    axes.set_axisbelow(True)
                    axes.tick_params(labelsize=6.5)
                if i == count - 1:
                    axes.set_xlabel(f"{j + 1} ({100 * shares[j]:.1f} %)", fontsize=8)
            grid[i, 0].set_ylabel("" if i == 0 else str(i + 1), fontsize=8)
        if labels is not None:
            _names(figure, labels)
        figure.suptitle(title, fontsize=9.5)
        return figure


def spectrum(shares: Mapping[str, Array], title: str = "") -> Figure:
    """Draw the share of the variance of each axis, and how they add up.

    Args:
        shares: (D,) by branch.
        title: put above.
    """
    with drawing():
        figure = Figure(figsize=(8.6, 3.4), dpi=110, facecolor="white", layout="constrained")
        left, right = figure.subplots(1, 2)
        for color, (name, own) in zip((*BRANCHES, "#8a4fb5"), shares.items(), strict=False):
            axis = np.arange(1, len(own) + 1)
            left.plot(axis, np.maximum(own, 1e-12), color=color, linewidth=1.5, label=name)
            right.plot(axis, np.cumsum(own), color=color, linewidth=1.5)
        left.set_yscale("log")
        left.set_ylabel("share of the variance", fontsize=9)
        right.set_ylabel("of all axes so far", fontsize=9)
        right.set_ylim(0, 1.02)
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_xlabel("principal component", fontsize=9)
            plain_panel(axes)
        left.legend(frameon=False, fontsize=8.5)
        figure.suptitle(title, fontsize=9.5)
        return figure


_KINDS = {
    "all": "among all",
    "within_position": "within one pointing",
    "position_only": "pointing known, nothing else",
    "shuffled": "shuffled pairs",
    "trained_on": "pairs trained on",
}


def retrieval(found: Mapping[str, Mapping[str, Any]], title: str = "") -> Figure:
    """Draw R@1 and R@5 with confidence, beside the controls; a tick is what guessing finds.

    Args:
        found: numbers by direction and kind.
        title: put above.
    """
    with drawing():
        figure = Figure(
            figsize=(4.6 * len(found), 3.4), dpi=110, facecolor="white", layout="constrained"
        )
        panels = figure.subplots(1, len(found), squeeze=False)[0]
        for axes, (direction, kinds) in zip(panels, found.items(), strict=True):
            names = [name for name in _KINDS if kinds.get(name, {}).get("queries")]
            for i, name in enumerate(names):
                for k, shift, color in ((1, -0.18, BRANCHES[0]), (5, 0.18, BRANCHES[1])):
                    own = kinds[name]
                    value, at = own[f"r@{k}"], i + shift
                    axes.bar(at, value, 0.34, color=color, label=f"R@{k}" if i == 0 else None)
                    low, high = own[f"r@{k}_low"], own[f"r@{k}_high"]
                    axes.plot([at, at], [low, high], color="#1b1b1b", linewidth=1)
                    chance = own[f"r@{k}_chance"]
                    axes.plot([at - 0.17, at + 0.17], [chance] * 2, color="#b3341f", linewidth=1.4)
            plain_panel(axes)
            wrapped = [_KINDS[n].replace(", ", ",\n").replace(" ", "\n", 1) for n in names]
            axes.set_xticks(range(len(names)), wrapped)
            axes.set_ylim(0, 1)
            axes.set_title(direction.replace("_to_", " → "), fontsize=9)
            axes.legend(frameon=False, fontsize=8.5)
        figure.suptitle(title, fontsize=9.5)
        return figure


def contingency(tables: Mapping[str, Mapping[str, Any]], title: str = "") -> Figure:
    """Draw how classes of columns are dealt out to clusters, as shares of each class.

    Args:
        tables: of each column `counts` (classes, clusters), `classes`, `nmi` and `ari`.
        title: put above.
    """
    shares = {}
    for name, own in tables.items():
        counts = np.asarray(own["counts"], float)
        shares[name] = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    heights = [len(own) + 3 for own in shares.values()]
    with drawing():
        widest = max(own.shape[1] for own in shares.values())
        size = (2.6 + 0.4 * widest, 0.26 * sum(heights) + 0.4)
        figure = Figure(figsize=size, dpi=110, facecolor="white", layout="constrained")
        panels = figure.subplots(len(shares), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, own) in zip(panels, shares.items(), strict=True):
            image = axes.imshow(own, vmin=0, vmax=1, cmap="Blues", aspect="auto")
            classes = [str(c)[:24] for c in tables[name]["classes"]]
            axes.set_yticks(range(len(own)), classes, fontsize=7.5)
            axes.set_xticks(range(own.shape[1]))
            axes.tick_params(labelsize=7.5, length=0)
            found = tables[name]
            text = f"{name}: NMI {found['nmi']:.3f}, ARI {found['ari']:.3f}"
            axes.set_title(text, fontsize=8.5)
        panels[-1].set_xlabel("cluster", fontsize=8.5)
        bar = figure.colorbar(image, ax=panels, shrink=0.6)
        bar.ax.tick_params(labelsize=7)
        bar.set_label("share of the class", fontsize=8)
        figure.suptitle(title, fontsize=9.5)
        return figure


def evolution(
    steps: Sequence[float], curves: Mapping[str, Mapping[str, Sequence[float | None]]], xlabel: str
) -> Figure:
    """Draw numbers of several checkpoints, one panel a measure.

    Args:
        steps: (S,) where on the axis each checkpoint is.
        curves: (S,) by panel and name.
        xlabel: of all panels.
    """
    columns = min(3, len(curves))
    lines = -(-len(curves) // max(1, columns))
    with drawing():
        figure = Figure(
            figsize=(3.6 * columns, 2.8 * lines), dpi=110, facecolor="white", layout="constrained"
        )
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, (title, own) in zip(panels, curves.items(), strict=False):
            for color, (name, values) in zip((*BRANCHES, *GREY), own.items(), strict=False):
                known = [np.nan if v is None else v for v in values]
                axes.plot(steps, known, color=color, marker="o", markersize=3.5, label=name)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel(xlabel, fontsize=8.5)
            plain_panel(axes)
            axes.legend(frameon=False, fontsize=7.5)
        for axes in panels[len(curves) :]:
            axes.set_axis_off()
        return figure


def _histogram(axes: Axes, values: Array, codes: Array | None) -> None:
    edges = np.histogram_bin_edges(values, 40)
    for code in [None] if codes is None else np.unique(codes):
        own = values if code is None else values[codes == code]
        color = BRANCHES[0] if code is None else colors_of(np.array([code]))[0]
        counts = np.histogram(own, edges)[0]
        axes.stairs(counts, edges, color=color, linewidth=1.0)
    axes.set_yticks([])


def _legend(axes: Axes, places: Mapping[str, Array], labels: Labels | None) -> None:
    if labels is None:
        axes.legend(frameon=False, fontsize=8.5, markerscale=2)
        return
    for i, name in enumerate(places):
        axes.scatter([], [], marker=_MARKERS[i % 3], s=22, c="#646b78", label=name)
    for code, value in enumerate(labels.values[:_MOST_NAMES]):
        color = colors_of(np.array([code]))
        axes.scatter([], [], marker="o", s=22, c=color, label=f"{labels.name} {value}"[:30])
    handles, names = axes.get_legend_handles_labels()
    own = slice(len(places), None)
    axes.legend(
        handles[own],
        names[own],
        frameon=False,
        fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1, 1),
    )


def _names(figure: Figure, labels: Labels) -> None:
    for i, value in enumerate(labels.values[:_MOST_NAMES]):
        color = colors_of(np.array([i]))[0]
        figure.text(0.98, 0.93 - 0.025 * i, value[:24], color=color, fontsize=8, ha="right")
    figure.text(0.98, 0.955, labels.name, fontsize=8.5, ha="right", weight="bold")
