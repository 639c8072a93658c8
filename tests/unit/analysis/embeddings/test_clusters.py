"""Clusters and maps of three clouds, and their agreement with a column by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpctrain.analysis.embeddings.classify import Labels
from hpctrain.analysis.embeddings.clusters import Clusters, against, hdbscan, k_means, silhouette
from hpctrain.analysis.embeddings.maps import kept_neighbours, t_sne

DRAW = np.random.default_rng(4)
CODES = np.arange(120) % 3
POINTS = (9 * np.eye(3)[CODES] + DRAW.standard_normal((120, 3))).astype(np.float32)
LABELS = Labels("node", CODES, ("a", "b", "c"))


@pytest.mark.parametrize("found", [k_means(POINTS, (2, 3, 5)), hdbscan(POINTS)])
def test_clouds__are_found(found: Clusters) -> None:
    assert found.num_clusters == 3
    own = against(found, LABELS)
    assert own["nmi"] > 0.95
    assert own["ari"] > 0.95
    assert found.facts["silhouette"] > 0.6


def test_silhouette__is_rousseeuws() -> None:
    def one(i: int) -> float:
        apart = np.linalg.norm(POINTS - POINTS[i], axis=1)
        inside = apart[(CODES[i] == CODES) & (np.arange(120) != i)].mean()
        outside = min(apart[c == CODES].mean() for c in set(CODES) - {CODES[i]})
        return (outside - inside) / max(inside, outside)

    expected = np.mean([one(i) for i in range(120)])
    assert silhouette(POINTS, CODES) == pytest.approx(expected, abs=1e-6)
    assert silhouette(POINTS, np.zeros(120, int)) is None


def test_against__is_mutual_information_of_the_counts() -> None:
    codes = np.where(DRAW.random(120) < 0.3, 0, CODES)
    codes[:5] = -1
    found = against(Clusters("x", np.arange(120), codes, {}), LABELS)
    counts = np.array(
        [[np.sum((CODES[5:] == a) & (codes[5:] == b)) for b in range(3)] for a in range(3)]
    )
    assert found["counts"] == counts.tolist()
    p = counts / counts.sum()

    def entropy(q: np.ndarray) -> float:
        return -sum(v * math.log(v) for v in q.ravel() if v)

    mutual = entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p)
    expected = mutual / ((entropy(p.sum(0)) + entropy(p.sum(1))) / 2)
    assert found["nmi"] == pytest.approx(expected, abs=1e-10)
    assert found["rows"] == 115


def test_against__independent_is_nothing() -> None:
    found = against(Clusters("x", np.arange(120), np.arange(120) // 3 % 2, {}), LABELS)
    assert found["nmi"] == pytest.approx(0, abs=1e-12)
    assert abs(found["ari"]) < 0.02


def test_few_points__have_no_clusters() -> None:
    assert k_means(POINTS[:2]).facts["silhouette"] is None
    assert hdbscan(POINTS[:6]).num_clusters == 0
    assert t_sne(POINTS[:5]) is None


def test_map__keeps_neighbours_and_places_the_rest_among_them() -> None:
    found = t_sne(POINTS, np.arange(0, 120, 2))
    assert found is not None
    assert found.places.shape == (120, 2)
    assert kept_neighbours(POINTS, found.places) > 0.3
    near = silhouette(found.places, CODES)
    assert near is not None
    assert near > 0.5


def test_kept_neighbours__is_all_of_a_map_that_is_exact() -> None:
    flat = POINTS[:, :2]
    assert kept_neighbours(flat, 3 * flat) == 1
    assert kept_neighbours(flat, DRAW.permutation(flat)) < 0.3
