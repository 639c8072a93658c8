"""Neighbours, votes and probes: few images, few classes, many neighbours, folds and controls."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpctrain.analysis.embeddings import neighbours
from hpctrain.analysis.embeddings.classify import (
    Labels,
    by_group,
    by_neighbours,
    by_probe,
    neighbour_lists,
    plans,
    too_small,
    vote,
)
from hpctrain.analysis.embeddings.folds import Folds, make_folds
from hpctrain.analysis.embeddings.neighbours import nearest

DRAW = np.random.default_rng(8)
CODES = np.repeat([0, 1, 2], [30, 20, 10])
CENTERS = 4 * np.eye(3, 8)
X = (CENTERS[CODES] + DRAW.standard_normal((60, 8))).astype(np.float64)
LABELS = Labels("weather", CODES, ("clear", "cloud", "rain"))
THREE = make_folds(None, None, 3, 60)


def guess_by_hand(i: int, learnt: np.ndarray, k: int) -> int:
    """DINO's vote, row by row."""
    cosine = {
        j: float(X[i] @ X[j] / np.linalg.norm(X[i]) / np.linalg.norm(X[j]))
        for j in np.flatnonzero(learnt)
    }
    votes = [0.0, 0.0, 0.0]
    for j in sorted(cosine, key=lambda j: -cosine[j])[:k]:
        votes[CODES[j]] += math.exp(cosine[j] / 0.07)
    return votes.index(max(votes))


@pytest.mark.parametrize("sizes", [(1024, 16384), (5, 7)])
def test_nearest__are_those_of_a_sorted_list(sizes, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "_QUERIES", sizes[0])
    monkeypatch.setattr(neighbours, "_GALLERY", sizes[1])
    allowed = DRAW.random(60) < 0.5
    length = np.linalg.norm(X, axis=1)
    cosine = np.where(allowed, (X @ X.T) / np.outer(length, length), -np.inf)
    order = np.argsort(-cosine, axis=1)[:, :9]
    similarity, rows = nearest(X, X, allowed, 9)
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_allclose(
        similarity, np.take_along_axis(cosine, order, axis=1), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_vote__is_dinos(k: int) -> None:
    parts = plans(LABELS, THREE)
    lists = neighbour_lists(X, parts, k)
    right = []
    for part, (similarity, rows) in zip(parts, lists, strict=True):
        own = vote(similarity, CODES[rows], 3)
        expected = [guess_by_hand(i, part.learnt, k) for i in part.judged]
        np.testing.assert_array_equal(own, expected)
        right += list(CODES[part.judged] == expected)
    found = by_neighbours(LABELS, parts, lists)
    assert found["accuracy"] == np.mean(right)
    assert (found["judged"], found["most_frequent"]) == (60, 0.5)


def test_classes__well_apart_are_told_and_shuffled_ones_are_not() -> None:
    parts = plans(LABELS, THREE)
    assert by_probe(X, LABELS, parts)["accuracy"] > 0.95
    lists = neighbour_lists(X, parts, 5)
    assert by_neighbours(LABELS, parts, lists)["balanced_accuracy"] > 0.9
    shuffled = LABELS.shuffled()
    assert sorted(shuffled.codes) == sorted(CODES)
    assert by_neighbours(shuffled, parts, lists)["accuracy"] < 0.7
    assert by_probe(X, shuffled, parts)["accuracy"] < 0.7


def test_probe__is_multinomial_logistic_regression() -> None:
    from scipy.optimize import minimize

    part = plans(LABELS, THREE)[0]
    own, truth = X[part.learnt], CODES[part.learnt]
    mean, deviation = own.mean(axis=0), own.std(axis=0)
    rows = np.append((own - mean) / deviation, np.ones((len(own), 1)), axis=1)

    def loss(flat: np.ndarray) -> float:
        w = flat.reshape(9, 3)
        z = rows @ w
        log = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return float(-log[np.arange(len(z)), truth].sum() + 0.5 * np.square(w[:8]).sum())

    best = minimize(loss, np.zeros(27)).x.reshape(9, 3)
    judged = np.append((X[part.judged] - mean) / deviation, np.ones((len(part.judged), 1)), axis=1)
    expected = float(((judged @ best).argmax(axis=1) == CODES[part.judged]).mean())
    assert by_probe(X, LABELS, [part])["accuracy"] == expected


@pytest.mark.parametrize("rows", [[0, 30], [0, 30, 31], [0, 1, 2, 30, 50]])
def test_few_images__are_no_error(rows: list[int]) -> None:
    x, labels = X[rows], Labels("weather", CODES[rows], LABELS.values)
    folds = make_folds(None, None, 5, len(rows))
    parts = plans(labels, folds)
    for found in (
        by_neighbours(labels, parts, neighbour_lists(x, parts, 20)),
        by_probe(x, labels, parts),
    ):
        assert 0 <= found["accuracy"] <= 1
        assert found["judged"] == len(rows)


def test_one_class__is_always_right() -> None:
    labels = Labels("node", np.zeros(60, np.int64), ("W01",))
    parts = plans(labels, THREE)
    assert by_probe(X, labels, parts)["accuracy"] == 1
    assert by_neighbours(labels, parts, neighbour_lists(X, parts, 3))["accuracy"] == 1


def test_unknown__rows_are_neither_learnt_nor_judged() -> None:
    codes = CODES.copy()
    codes[:10] = -1
    labels = Labels("weather", codes, LABELS.values)
    parts = plans(labels, THREE)
    assert sum(len(part.judged) for part in parts) == 50
    assert not any(part.learnt[:10].any() for part in parts)
    assert plans(Labels("weather", np.full(60, -1), ()), THREE) == []
    assert by_neighbours(labels, [], []) == {"judged": 0}


def test_too_small__names_classes() -> None:
    codes = np.array([0] * 58 + [1, 2])
    assert too_small(Labels("x", codes, ("a", "b", "c")), THREE) == ["b", "c"]
    split = Folds(np.array([-1] * 30 + [0] * 30), "")
    assert too_small(LABELS, split) == ["clear", "cloud", "rain"]
    assert too_small(Labels("x", np.arange(60) % 2, ("a", "b")), split) == []


def test_group__tells_what_the_pointing_alone_tells() -> None:
    groups = np.arange(60) % 2
    parts = plans(LABELS, THREE)
    assert by_group(LABELS, parts, groups)["accuracy"] == 0.5
    assert by_group(LABELS, parts, CODES)["accuracy"] == 1


def test_folds__are_the_indexs_or_whole_days() -> None:
    splits = ["train"] * 4 + ["validation"] * 2
    assert make_folds(splits, None, 5, 6).number.tolist() == [-1, -1, -1, -1, 0, 0]
    days = [f"day {i // 7}" for i in range(60)]
    found = make_folds(["train"] * 60, days, 4, 60)
    assert len(found.judged) == 4
    for day in set(days):
        assert len({n for n, d in zip(found.number, days, strict=True) if d == day}) == 1
    assert np.bincount(found.number).max() <= 21
    assert len(make_folds(None, ["one day"] * 60, 5, 60).judged) == 5
