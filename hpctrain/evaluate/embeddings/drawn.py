"""Figures of an evaluation, as PNG and SVG, each with its stamp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hpctrain.analysis.embeddings import figures, sheets
from hpctrain.analysis.embeddings.classify import Labels
from hpctrain.analysis.figures import drawing
from hpctrain.embed.store import Store
from hpctrain.evaluate.embeddings.measure import JOINT, Measured
from hpctrain.provenance import Stamp, embed

_CORNER = 4
_MOST_CLASSES = 24
_MAPS = 3
"""Columns that maps are coloured by."""


def draw_all(store: Store, done: Measured, folder: Path, stamp: Stamp) -> list[tuple[str, Path]]:
    """Draw what there is; returns titles and PNG files.

    Args:
        store: for thumbnails and ids.
        done: what was measured.
        folder: where to.
        stamp: of the evaluation.
    """
    drawn = []
    for name, title, figure in _figures(store, done):
        drawn.append((title, save(figure, folder / f"{name}.png", stamp)))
        if name in ("spectrum", "retrieval"):
            save(figure, folder / f"{name}.svg", stamp)
    return drawn


def save(figure: Figure, path: Path, stamp: Stamp) -> Path:
    """Write a figure with its stamp; returns its path."""
    with drawing():
        figure.savefig(path)
    embed(path, replace(stamp, product="figure"))
    return path


def _figures(store: Store, done: Measured) -> Iterator[tuple[str, str, Figure]]:
    numbers = done.numbers
    if "note" not in numbers["retrieval"]:
        title = f"finding the twin{done.space.title}; red: by chance"
        yield (
            "retrieval",
            "Retrieval across modalities",
            figures.retrieval(numbers["retrieval"], title),
        )
    shares = {name: own.shares for name, own in done.pca.items()}
    yield "spectrum", "Principal components", figures.spectrum(shares)
    for map_name, places in done.places.items():
        is_main = len(places) > 1 or len(done.places) == 1
        few = _chosen(done.labels)
        for colours in (None, *few) if is_main else few[:1]:
            own = colours.name if colours else "branch"
            file = f"map_{_safe(map_name).lower()}_{_safe(own)}"
            title = f"{map_name}, coloured by {own}"
            yield file, title, figures.joined_map(places, colours, done.shown, title)
    for name, pca in done.pca.items():
        if name == JOINT:
            continue
        count = min(_CORNER, len(pca.axes))
        if count < 2:
            continue
        points = pca.project(store.branch(name)[done.shown])[:, :count]
        labels = next(iter(_chosen(done.labels)), None)
        title = f"principal components of {name}"
        figure = figures.corner(points, pca.shares, labels, done.shown, title)
        yield f"corner_{name}", f"Corner plot of {name}", figure
    yield from _contingencies(done)
    yield from _sheets(store, done)


def _contingencies(done: Measured) -> Iterator[tuple[str, str, Figure]]:
    for branch, methods in done.numbers["clusters"].items():
        for method, own in methods.items():
            tables = {
                column: found
                for column, found in own["against"].items()
                if found["rows"] and len(found["classes"]) <= _MOST_CLASSES
            }
            if tables and own["clusters"] > 1:
                title = f"{method} of {branch}"
                figure = figures.contingency(tables, title)
                yield f"clusters_{branch}_{_safe(method)}", f"Clusters: {title}", figure


def _sheets(store: Store, done: Measured) -> Iterator[tuple[str, str, Figure]]:
    """Nearest neighbours across modalities, among rows with thumbnails not trained on."""
    shown, names = store.shown(), list(done.space.branches)
    at = np.flatnonzero(np.isin(shown, done.held))
    thumbs = {name: own for name in names if (own := store.thumbs(name)) is not None}
    if len(thumbs) < 2 or not len(at):
        return
    ids = store.table.column("id")
    vectors = {m: store.branch(name)[shown[at]] for m, name in done.space.branches.items()}
    for first, second in (names, names[::-1]):
        queries = [
            replace(query, number=int(at[query.number]), found=at[query.found])
            for query in sheets.find_queries(vectors[first], vectors[second])
        ]
        pictures = {first: thumbs[first], second: thumbs[second]}
        title = f"nearest {second} of {first}{done.space.title}, among {len(at)}"
        title += "; framed: the twin"
        figure = sheets.neighbour_sheet(queries, pictures, [ids[row] for row in shown], title)
        title = f"Nearest neighbours, {first} → {second}"
        yield f"nearest_{first}_to_{second}", title, figure


def _chosen(labels: list[Labels]) -> list[Labels]:
    """Those with few classes, which colours can tell."""
    return [own for own in labels if own.num_classes <= 12][:_MAPS]


def _safe(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text)
