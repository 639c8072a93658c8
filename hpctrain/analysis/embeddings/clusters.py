"""Clusters of embeddings, and what they have to do with columns of the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans, MiniBatchKMeans
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)
from sklearn.metrics.cluster import contingency_matrix

from hpctrain.analysis.embeddings.blocks import Array, sample_rows
from hpctrain.analysis.embeddings.classify import Labels

COUNTS = (2, 4, 8, 16)
_WHOLE = 20_000
"""Rows up to which k-means takes all of them in each step."""
_SILHOUETTE = 5000
_HDBSCAN = 5000
NOISE = -1


@dataclass(frozen=True)
class Clusters:
    """Clusters of some rows."""

    method: str
    rows: Array
    """(M,) numbers of rows."""
    codes: Array
    """(M,) clusters; -1: of none."""
    facts: dict[str, Any]

    @property
    def num_clusters(self) -> int:
        """Without noise."""
        return len(np.unique(self.codes[self.codes >= 0]))


def silhouette(points: Array, codes: Array, seed: int = 0) -> float | None:
    """Mean silhouette (Rousseeuw 1987) of up to 5000 rows; None where it is not defined."""
    known = np.flatnonzero(codes >= 0)
    rows = known[sample_rows(len(known), _SILHOUETTE, seed)]
    count = len(np.unique(codes[rows]))
    if not 2 <= count < len(rows):
        return None
    return float(silhouette_score(points[rows], codes[rows]))


def k_means(points: Array, counts: tuple[int, ...] = COUNTS, seed: int = 0) -> Clusters:
    """k-means with each number of clusters, of which that of the best silhouette is taken.

    Args:
        points: (N, K) such as principal components; above 20,000 in small batches.
        counts: numbers of clusters to try.
        seed: of the first centres.
    """
    tried: dict[int, tuple[float, Array]] = {}
    for count in counts:
        if count >= len(points):
            continue
        whole = len(points) <= _WHOLE
        make = KMeans if whole else MiniBatchKMeans
        model = make(n_clusters=count, n_init=3, random_state=seed)
        codes = model.fit_predict(points)
        score = silhouette(points, codes)
        if score is not None:
            tried[count] = score, codes
    if not tried:
        none = np.zeros(len(points), np.int64)
        return Clusters("k-means", np.arange(len(points)), none, {"silhouette": None})
    best = max(tried, key=lambda count: tried[count][0])
    facts = {
        "silhouette": tried[best][0],
        "silhouette_by_count": {str(count): score for count, (score, _) in tried.items()},
    }
    return Clusters("k-means", np.arange(len(points)), tried[best][1], facts)


def hdbscan(points: Array, most: int = _HDBSCAN, seed: int = 0) -> Clusters:
    """HDBSCAN (Campello et al. 2013) of up to so many rows; at least 1 % of them a cluster.

    Args:
        points: (N, K), K small: in many dimensions all points are far from each other.
        most: rows that are drawn where there are more.
        seed: of that draw.
    """
    rows = sample_rows(len(points), most, seed)
    own, size = points[rows], max(5, len(rows) // 100)
    if len(rows) < 2 * size:
        return Clusters("hdbscan", rows, np.full(len(rows), NOISE), {"silhouette": None})
    codes = HDBSCAN(min_cluster_size=size, copy=True).fit_predict(own)
    facts = {
        "silhouette": silhouette(own, codes),
        "smallest": size,
        "noise": float((codes < 0).mean()),
    }
    return Clusters("hdbscan", rows, codes, facts)


def against(clusters: Clusters, labels: Labels) -> dict[str, Any]:
    """What clusters and a column know of each other: NMI, ARI, and counts.

    Rows without class, and rows of no cluster, do not count.
    """
    codes = labels.codes[clusters.rows]
    both = (codes >= 0) & (clusters.codes >= 0)
    if not both.any():
        return {"rows": 0}
    own, truth = clusters.codes[both], codes[both]
    return {
        "rows": int(both.sum()),
        "nmi": float(normalized_mutual_info_score(truth, own)),
        "ari": float(adjusted_rand_score(truth, own)),
        "classes": [labels.values[c] for c in np.unique(truth)],
        "counts": contingency_matrix(truth, own).tolist(),
    }
