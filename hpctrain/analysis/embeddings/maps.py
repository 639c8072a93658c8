"""Maps of embeddings in the plane: of up to 20,000 points; others are placed among them.

For t-SNE openTSNE (Policar et al. 2024) does the work: approximate neighbours and interpolated
forces above 1,000 and 10,000 points. For UMAP it is umap-learn (McInnes et al. 2018), which is an
extra of its own, as it brings a compiler.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from openTSNE import TSNE, TSNEEmbedding
from openTSNE.affinity import PerplexityBasedNN
from sklearn.neighbors import NearestNeighbors

from hpctrain.analysis.embeddings.blocks import Array, sample_rows

MOST = 20_000
_MOVED = 100_000
"""Points up to which t-SNE moves those beyond the sample, too."""
_ROUNDS = 100
_PLACED_BY = 10
_FEWEST = 8
_UMAP_NEIGHBOURS = 15


@dataclass(frozen=True)
class Map:
    """Places of points."""

    places: Array
    """(N, 2) float32."""
    fitted: Array
    """(M,) points that the method itself has placed."""


def t_sne(
    points: Array, fitted: Array | None = None, *, threads: int = 1, seed: int = 0
) -> Map | None:
    """Place points so that neighbours stay neighbours; None of fewer than 8 points.

    Args:
        points: (N, K) such as 50 principal components.
        fitted: (M,) those that t-SNE places; None: up to 20,000 at random.
        threads: of openTSNE.
        seed: of its first places and of approximate neighbours.

    Points beyond those begin at the median of their 10 nearest ones, and all are moved together by
    100 iterations: the map has its shape by then, and neighbours find each other. Beyond 100,000
    they stay where they began.
    """
    if len(points) < _FEWEST:
        return None
    fitted = sample_rows(len(points), MOST, seed) if fitted is None else fitted
    own = np.asarray(points[fitted], np.float32)
    perplexity = min(30.0, (len(own) - 1) / 4)
    model = TSNE(perplexity=perplexity, n_jobs=threads, random_state=seed)
    found = _with_others(points, fitted, np.asarray(model.fit(own.astype(np.float64)), np.float32))
    if len(fitted) < len(points) <= _MOVED:
        return Map(_moved(points, found.places, perplexity, threads, seed), fitted)
    return found


def _moved(points: Array, places: Array, perplexity: float, threads: int, seed: int) -> Array:
    """Places after some iterations with the neighbours of all points."""
    wide = np.asarray(points, np.float64)
    near = PerplexityBasedNN(wide, perplexity=perplexity, n_jobs=threads, random_state=seed)
    first = places.astype(np.float64)
    begun = TSNEEmbedding(first, near, n_jobs=threads, random_state=seed)
    moved = begun.optimize(n_iter=_ROUNDS, momentum=0.8)
    return np.asarray(moved, np.float32)


def u_map(points: Array, fitted: Array | None = None, *, seed: int = 0) -> Map | None:
    """The same by UMAP, with its own 15 neighbours; on one thread, else no seed would count.

    Args:
        points: as of `t_sne`.
        fitted: as of `t_sne`.
        seed: of its first places and of what it draws.
    """
    from umap import UMAP

    if len(points) < _FEWEST:
        return None
    fitted = sample_rows(len(points), MOST, seed) if fitted is None else fitted
    own = np.asarray(points[fitted], np.float32)
    model = UMAP(n_neighbors=min(_UMAP_NEIGHBOURS, len(own) - 1), random_state=seed, n_jobs=1)
    return _with_others(points, fitted, np.asarray(model.fit_transform(own), np.float32))


def _with_others(points: Array, fitted: Array, found: Array) -> Map:
    """Points beyond the fitted ones go to the median of their nearest."""
    if len(fitted) == len(points):
        return Map(found, fitted)
    places = np.empty((len(points), 2), np.float32)
    rest = np.setdiff1d(np.arange(len(points)), fitted)
    own = np.asarray(points[fitted], np.float32)
    index = NearestNeighbors(n_neighbors=min(_PLACED_BY, len(own)), algorithm="brute").fit(own)
    near = index.kneighbors(np.asarray(points[rest], np.float32), return_distance=False)
    places[rest] = np.median(found[near], axis=1)
    places[fitted] = found
    return Map(places, fitted)


def kept_neighbours(points: Array, places: Array, k: int = 15, most: int = 1000) -> float:
    """Share of the k nearest points that are among the k nearest on the map, of some points.

    Args:
        points: (N, K).
        places: (N, 2).
        k: neighbours of each.
        most: points that are asked.
    """
    k = min(k, len(points) - 1)
    shared = 0
    rows = sample_rows(len(points), most, 1)
    for row in rows:
        near = [
            set(np.argpartition(np.square(where - where[row]).sum(axis=1), k)[: k + 1]) - {row}
            for where in (points, places)
        ]
        shared += len(near[0] & near[1])
    return shared / (k * len(rows))
