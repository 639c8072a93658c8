"""Figures of volumes that a network has coded: reconstructions, traversals, errors by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpctrain.analysis.figures import COLORS, Array, drawing, plain_panel

CUTS = ("across z", "across y", "across x")


def reconstructions(true: Array, made: Array, title: str = "") -> Figure:
    """Draw volumes beside what was decoded from their codes, in three cuts through the middle.

    Args:
        true: (N, D, H, W) normalised grey values; a row each.
        made: likewise.
        title: put above.
    """
    low, high = limits(true)
    with drawing():
        rows = len(true)
        figure = Figure(figsize=(9.0, 1.5 * rows + 0.7), dpi=110, facecolor="white")
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, 6, squeeze=False)
        for panels, one, other in zip(grid, true, made, strict=True):
            pairs = zip(middle_cuts(one), middle_cuts(other), strict=True)
            for axes, cut in zip(panels, [cut for pair in pairs for cut in pair], strict=True):
                axes.imshow(cut, vmin=low, vmax=high, cmap="gray", interpolation="nearest")
                bare(axes)
        for column, name in enumerate(CUTS):
            grid[0, 2 * column].set_title(f"{name}: scan", fontsize=8.5)
            grid[0, 2 * column + 1].set_title("reconstruction", fontsize=8.5)
        figure.suptitle(title, fontsize=9.5)
        return figure


def traversals(
    cubes: Array,
    names: Sequence[str],
    values: Sequence[float] | Array,
    title: str = "",
    scale: tuple[float, float] | None = None,
) -> Figure:
    """Draw what single latent numbers change: the middle cut across z, a row a number.

    The last column is the difference between the last cut and the first, red where it is brighter;
    its scale is the same in all rows.

    Args:
        cubes: (K, S, D, H, W) decoded volumes.
        names: of the K numbers.
        values: S values that each takes.
        title: put above.
        scale: grey values that are black and white, such as those of the scan; None: of the cubes.
    """
    low, high = scale or limits(cubes)
    cuts = cubes[:, :, cubes.shape[2] // 2]
    changes = cuts[:, -1] - cuts[:, 0]
    most = float(np.abs(changes).max()) or 1.0
    count, steps = cuts.shape[:2]
    with drawing():
        figure = Figure(
            figsize=(1.15 * (steps + 1) + 0.6, 1.15 * count + 0.7), dpi=110, facecolor="white"
        )
        figure.set_layout_engine("constrained")
        grid = figure.subplots(count, steps + 1, squeeze=False)
        for panels, row, change, name in zip(grid, cuts, changes, names, strict=True):
            for axes, cut in zip(panels, row, strict=False):
                axes.imshow(cut, vmin=low, vmax=high, cmap="gray", interpolation="nearest")
                bare(axes)
            panels[-1].imshow(change, vmin=-most, vmax=most, cmap="RdBu_r", interpolation="nearest")
            bare(panels[-1])
            panels[0].set_ylabel(f"number {name}", fontsize=8)
        for axes, value in zip(grid[0], values, strict=False):
            axes.set_title(f"{value:.2g}", fontsize=8.5)
        grid[0, -1].set_title(f"change, ±{most:.2g}", fontsize=8.5)
        figure.suptitle(title, fontsize=9.5)
        return figure


def by_distance(curve: Mapping[str, Sequence[float]], title: str = "") -> Figure:
    """Draw the mean squared error against the distance from the centre of a volume or window.

    Args:
        curve: `distance` (1: the surface) and `mse`; further curves by name, as yardsticks.
        title: put above.
    """
    with drawing():
        figure = Figure(figsize=(5.2, 3.4), dpi=110, facecolor="white", layout="constrained")
        axes = figure.subplots()
        plain_panel(axes)
        line: dict[str, Any] = {"color": COLORS["generator"], "linewidth": 1.6, "marker": "."}
        axes.plot(curve["distance"], curve["mse"], label="network", **line)
        others = [name for name in curve if name not in ("distance", "mse")]
        for name, color in zip(others, (COLORS["trilinear"], COLORS["tricubic"]), strict=False):
            axes.plot(curve["distance"], curve[name], color=color, linewidth=1.6, label=name)
        if others:
            axes.legend(frameon=False, fontsize=8.5)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("distance from the centre (1: surface)", fontsize=9)
        axes.set_ylabel("mean squared error", fontsize=9)
        figure.suptitle(title, fontsize=9.5)
        return figure


def limits(values: Array) -> tuple[float, float]:
    """A grey scale that leaves out the outermost half per cent at either end."""
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(high if high > low else low + 1.0)


def middle_cuts(cube: Array) -> list[Array]:
    """(H, W), (D, W) and (D, H): planes through the middle of a volume (D, H, W)."""
    d, h, w = (n // 2 for n in cube.shape)
    return [cube[d], cube[:, h], cube[:, :, w]]


def bare(axes: Axes) -> None:
    """No ticks: cells are counted nowhere here."""
    axes.set_xticks([])
    axes.set_yticks([])
