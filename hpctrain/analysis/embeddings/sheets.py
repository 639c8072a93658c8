"""Sheets of thumbnails: pictures and what is nearest to them in the other modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpctrain.analysis.embeddings.blocks import Array
from hpctrain.analysis.embeddings.neighbours import nearest
from hpctrain.analysis.figures import drawing


@dataclass(frozen=True)
class Query:
    """A picture, and the most similar ones of the other modality."""

    number: int
    """Among the thumbnails."""
    found: Array
    """(K,) numbers, the most similar first."""
    similarity: Array
    """(K,) cosines."""


def find_queries(x: Array, y: Array, count: int = 8, k: int = 6) -> list[Query]:
    """Pictures spread evenly, each with its nearest ones.

    Args:
        x: (M, D) of pictures that have thumbnails.
        y: (M, D) of their twins.
        count: of queries.
        k: of neighbours.
    """
    numbers = np.unique(np.linspace(0, len(x) - 1, min(count, len(x))).astype(int))
    similarity, found = nearest(x[numbers], y, np.ones(len(y), bool), k)
    return [Query(int(n), f, s) for n, f, s in zip(numbers, found, similarity, strict=True)]


def neighbour_sheet(
    queries: Sequence[Query],
    thumbs: Mapping[str, Array],
    names: Sequence[str],
    title: str = "",
) -> Figure:
    """Draw a row a query: it, its twin, and what was found; the twin is framed where it was.

    Args:
        queries: what was found.
        thumbs: (M, H, W, C) uint8, of the queries' modality and then of the other.
        names: (M,) what is written under the queries.
        title: put above.
    """
    (own, pictures), (other, others) = thumbs.items()
    columns = 2 + max(len(query.found) for query in queries)
    with drawing():
        figure = Figure(
            figsize=(1.35 * columns, 1.25 * len(queries) + 0.5),
            dpi=130,
            facecolor="white",
            layout="constrained",
        )
        grid = figure.subplots(len(queries), columns, squeeze=False)
        for panels, query in zip(grid, queries, strict=True):
            for axes in panels:
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
            _show(panels[0], pictures[query.number])
            panels[0].set_xlabel(names[query.number][-24:], fontsize=5.5, labelpad=2)
            _show(panels[1], others[query.number])
            for axes, number, cosine in zip(
                panels[2:], query.found, query.similarity, strict=False
            ):
                _show(axes, others[number])
                axes.set_xlabel(f"{cosine:.3f}", fontsize=6.5, labelpad=2)
                if number == query.number:
                    axes.spines[:].set(visible=True, color="#17794f", linewidth=2.5)
        for axes, name in zip(
            grid[0],
            [own, f"its {other}", *(f"nearest {i + 1}" for i in range(columns))],
            strict=False,
        ):
            axes.set_title(name, fontsize=7.5)
        figure.suptitle(title, fontsize=9)
        return figure


def contact_sheet(pictures: Array, titles: Sequence[str], columns: int, title: str = "") -> Figure:
    """Draw pictures beside and below each other.

    Args:
        pictures: (M, H, W, C) uint8.
        titles: (M,) above each.
        columns: in a row.
        title: put above all.
    """
    rows = -(-len(pictures) // columns)
    height, width = pictures.shape[1:3]
    with drawing():
        figure = Figure(
            figsize=(1.9 * columns, (1.9 * height / width + 0.2) * rows + 0.4),
            dpi=130,
            facecolor="white",
            layout="constrained",
        )
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, picture, name in zip(panels, pictures, titles, strict=False):
            _show(axes, picture)
            axes.set_title(name, fontsize=7)
        figure.suptitle(title, fontsize=9)
        return figure


def _show(axes: Axes, picture: Array) -> None:
    is_grey = picture.shape[-1] == 1
    axes.imshow(picture[..., 0] if is_grey else picture, cmap="gray", vmin=0, vmax=255)
