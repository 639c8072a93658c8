"""Sheets of attention: what each head of an encoder looks at, laid over its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpctrain.analysis.embeddings.blocks import Array
from hpctrain.analysis.figures import drawing

_VEIL = 0.6
"""How much of a picture the map hides."""


@dataclass(frozen=True)
class Looked:
    """A picture, and where an encoder looks."""

    name: str
    picture: Array
    """(H, W, 1 or 3) uint8."""
    heads: Array
    """(heads, rows, columns): how much the class token takes from each patch."""
    rollout: Array
    """(rows, columns): the same through all blocks."""


def attention_sheet(looked: Sequence[Looked], title: str = "") -> Figure:
    """Draw a row a picture: it, each head of the last block over it, and the rollout.

    Args:
        looked: pictures; each may have a size of its own.
        title: put above.
    """
    heads = looked[0].heads.shape[0]
    columns = 2 + heads
    height, width = looked[0].picture.shape[:2]
    with drawing():
        side = 1.7
        figure = Figure(
            figsize=(side * columns, (side * height / width + 0.22) * len(looked) + 0.4),
            dpi=130,
            facecolor="white",
            layout="constrained",
        )
        grid = figure.subplots(len(looked), columns, squeeze=False)
        for panels, own in zip(grid, looked, strict=True):
            _picture(panels[0], own.picture)
            panels[0].set_xlabel(own.name[-28:], fontsize=5.5, labelpad=2)
            for axes, attention in zip(panels[1:], (*own.heads, own.rollout), strict=True):
                overlay(axes, own.picture, attention)
        names = ["picture", *(f"head {i + 1}" for i in range(heads)), "rollout"]
        for axes, name in zip(grid[0], names, strict=True):
            axes.set_title(name, fontsize=8)
        figure.suptitle(title, fontsize=9)
        return figure


def overlay(axes: Axes, picture: Array, attention: Array) -> None:
    """Lay a map over a picture; its colours go from its least to its most.

    Args:
        axes: to draw on.
        picture: (H, W, 1 or 3) uint8.
        attention: (rows, columns).
    """
    _picture(axes, picture)
    height, width = picture.shape[:2]
    axes.imshow(
        attention,
        cmap="inferno",
        vmin=float(np.min(attention)),
        vmax=float(np.max(attention)),
        alpha=_VEIL,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="nearest",
    )


def _picture(axes: Axes, picture: Array) -> None:
    is_grey = picture.shape[-1] == 1
    axes.imshow(picture[..., 0] if is_grey else picture, cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
