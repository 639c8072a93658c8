"""Maps of points in the plane: groups stay apart, and points beyond the fitted ones join them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hpctrain.analysis.embeddings.maps import Map, kept_neighbours, t_sne, u_map

DRAW = np.random.default_rng(0)
GROUP = np.arange(90) % 3
POINTS = (20 * np.eye(5)[GROUP] + DRAW.standard_normal((90, 5))).astype(np.float32)


@pytest.mark.parametrize("make", [t_sne, u_map])
def test_map__keeps_groups_apart_also_of_points_beyond(make: Callable[..., Map | None]) -> None:
    if make is u_map:
        pytest.importorskip("umap", reason="needs umap-learn: pip install 'hpctrain[umap]'")
    for fitted in (None, np.arange(60)):
        found: Any = make(POINTS, fitted)
        assert found.places.shape == (90, 2)
        assert len(found.fitted) == (90 if fitted is None else 60)
        middles = np.stack([found.places[g == GROUP].mean(axis=0) for g in range(3)])
        away = np.linalg.norm(found.places[:, None] - middles, axis=2)
        assert (away.argmin(axis=1) == GROUP).all()
        np.testing.assert_array_equal(make(POINTS, fitted).places, found.places)


def test_t_sne__of_few_points_is_none() -> None:
    assert t_sne(POINTS[:7]) is None


def test_kept_neighbours__of_the_same_and_of_others() -> None:
    assert kept_neighbours(POINTS, POINTS) == 1
    assert kept_neighbours(POINTS, DRAW.standard_normal((90, 2))) < 0.4


def test_t_sne__points_beyond_find_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they begin, at medians, they have the right group and others beside them."""
    points = DRAW.standard_normal((600, 3)).astype(np.float32)
    kept = []
    for most in (100_000, 0):
        monkeypatch.setattr("hpctrain.analysis.embeddings.maps._MOVED", most)
        found: Any = t_sne(points, np.arange(300))
        kept.append(kept_neighbours(points, found.places, 10))
    assert kept[0] > 1.2 * kept[1], kept
