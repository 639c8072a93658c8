"""Retrieval against a sorted list, on perfect pairs, on noise, on ties, and within groups."""

from __future__ import annotations

import numpy as np
import pytest

from hpctrain.analysis.embeddings import retrieval
from hpctrain.analysis.embeddings.retrieval import (
    confidence,
    find_twins,
    find_within,
    only_groups,
)

DRAW = np.random.default_rng(3)
X = DRAW.standard_normal((90, 7))
Y = X + DRAW.standard_normal((90, 7))
ALL = np.arange(90)


def ranks_by_sorting(x: np.ndarray, y: np.ndarray) -> list[int]:
    """For each row: its twin's place in the list of all, the most similar first."""
    found = []
    for i, own in enumerate(x):
        cosine = [own @ other / np.linalg.norm(own) / np.linalg.norm(other) for other in y]
        found.append(1 + sorted(range(len(y)), key=lambda j: -cosine[j]).index(i))
    return found


@pytest.fixture(params=[(1024, 16384), (7, 11)])
def _sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "_QUERIES", request.param[0])
    monkeypatch.setattr(retrieval, "_GALLERY", request.param[1])
    monkeypatch.setattr(retrieval, "_AT_ONCE", 3 * request.param[0])


@pytest.mark.usefixtures("_sizes")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ranks__are_those_of_a_sorted_list(dtype: str) -> None:
    x, y = X.astype(dtype), Y.astype(dtype)
    expected = np.array(ranks_by_sorting(x, y))
    found = find_twins(x, y, ALL)
    np.testing.assert_array_equal(found.ranks, expected)
    for k in (1, 5, 20):
        assert found.recall(k) == (expected <= k).mean()
    assert found.numbers()["median_rank"] == np.median(expected)
    some = np.array([3, 50, 89])
    np.testing.assert_array_equal(find_twins(x, y, some).ranks, expected[some])


class Noted:
    """Rows, and how many were read at a time."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.shape, self.most = rows, rows.shape, 0

    def __getitem__(self, rows: object) -> np.ndarray:
        found = self.rows[rows]  # type: ignore[index]
        self.most = max(self.most, len(found))
        return found


def test_wide_rows__are_read_fewer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "_NUMBERS", 7 * 40)
    x, y = Noted(X), Noted(Y)
    np.testing.assert_array_equal(find_twins(x, y, ALL).ranks, find_twins(X, Y, ALL).ranks)
    groups = np.zeros(90, np.int64)
    np.testing.assert_array_equal(find_within(x, y, ALL, groups).ranks, find_twins(X, Y, ALL).ranks)
    assert (x.most, y.most) == (40, 40)


def test_perfect_pairs__are_all_found() -> None:
    found = find_twins(X, 2 * X, ALL).numbers()
    assert (found["r@1"], found["r@5"], found["median_rank"]) == (1, 1, 1)


@pytest.mark.usefixtures("_sizes")
def test_collapsed__finds_exactly_what_chance_finds() -> None:
    same = np.ones((90, 7), np.float32) * np.float32(0.3)
    found = find_twins(same, same, ALL)
    assert found.recall(1) == pytest.approx(1 / 90)
    assert found.recall(5) == pytest.approx(5 / 90) == found.chance(5)
    assert found.numbers()["median_rank"] == 45.5 == found.numbers()["median_rank_chance"]


def test_noise__finds_chance_within_its_confidence() -> None:
    x, y = DRAW.standard_normal((2, 4000, 16)).astype(np.float32)
    found = find_twins(x, y, np.arange(4000)).numbers()
    for k in (1, 5):
        assert found[f"r@{k}_low"] <= k / 4000 <= found[f"r@{k}_high"]
    assert found["median_rank"] == pytest.approx(2000, rel=0.06)


def test_shuffled__twins_are_chance() -> None:
    other = DRAW.permutation(90)
    assert find_twins(X, X, ALL, other).recall(1) == (other == ALL).mean()


def test_within__compares_only_with_the_same_group() -> None:
    groups = np.repeat([0, 1, 2, -1], [40, 30, 1, 19])
    found = find_within(X, Y, ALL, groups)
    parts = [ranks_by_sorting(X[groups == g], Y[groups == g]) for g in (0, 1)]
    np.testing.assert_array_equal(found.ranks, np.concatenate(parts))
    assert found.gallery.tolist() == [40] * 40 + [30] * 30
    some = find_within(X, Y, np.array([5, 41, 70, 80]), groups)
    np.testing.assert_array_equal(some.ranks, [parts[0][5], parts[1][1]])


def test_only_groups__is_a_network_that_knows_nothing_else() -> None:
    groups = np.repeat([0, 1], [60, 30])
    known = np.eye(2)[groups]
    found, expected = only_groups(ALL, groups), find_twins(known, known, ALL)
    for k in (1, 5, 45):
        assert found.recall(k) == pytest.approx(expected.recall(k))
    assert found.recall(1) == pytest.approx(2 / 90)


def test_within__knows_nothing_where_only_the_group_was_learnt() -> None:
    groups = np.repeat(np.arange(9), 10)
    known = np.eye(9)[groups]
    found = find_within(known, known, ALL, groups)
    assert found.recall(1) == pytest.approx(found.chance(1)) == 0.1


def test_nothing__has_no_numbers() -> None:
    assert find_within(X, Y, ALL, np.full(90, -1)).numbers()["queries"] == 0


def test_confidence__is_wilsons() -> None:
    low, high = confidence(0.5, 100)
    # roots of (p - share)^2 = z^2 p (1 - p) / n
    z = 1.96
    roots = np.roots([1 + z * z / 100, -(2 * 0.5 + z * z / 100), 0.25])
    np.testing.assert_allclose([low, high], sorted(roots), rtol=1e-10)
    assert confidence(0, 10)[0] == 0
    assert confidence(0, 0) == (0, 1)
