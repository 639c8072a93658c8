"""Moments, components, rank, alignment, uniformity and CKA against formulas written out here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpctrain.analysis.embeddings import pca
from hpctrain.analysis.embeddings.blocks import unit
from hpctrain.analysis.embeddings.moments import moments, stacked
from hpctrain.analysis.embeddings.spread import (
    alignment,
    effective_rank,
    linear_cka,
    participation_ratio,
    uniformity,
)

DRAW = np.random.default_rng(5)
MIX = DRAW.standard_normal((6, 6))
X = DRAW.standard_normal((101, 6)) @ MIX + 3
Y = X @ DRAW.standard_normal((6, 4)) + DRAW.standard_normal((101, 4))
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def test_moments__in_blocks_are_those_of_the_whole() -> None:
    for size in (1, 7, 101, 500):
        found = moments({"rgb": X, "ir": Y}, size)
        both = np.concatenate([X, Y], axis=1)
        np.testing.assert_allclose(found.mean, both.mean(axis=0), **CLOSE)
        np.testing.assert_allclose(found.covariance("rgb"), np.cov(X.T), **CLOSE)
        across = np.cov(both.T)[:6, 6:] * 100
        np.testing.assert_allclose(found.scatter_of("rgb", "ir"), across, rtol=1e-9)
        np.testing.assert_allclose(found.deviations("ir"), Y.std(axis=0, ddof=1), **CLOSE)


def test_moments__keep_small_deviations_of_large_values() -> None:
    far = X + 1e7
    np.testing.assert_allclose(moments({"a": far}, 9).covariance("a"), np.cov(X.T), rtol=1e-6)


def test_stacked__is_one_cloud_of_both() -> None:
    other = X * 2 - 5
    found = stacked(moments({"rgb": X, "ir": other}, 13))
    both = np.concatenate([X, other])
    np.testing.assert_allclose(found.covariance("joint"), np.cov(both.T), **CLOSE)
    np.testing.assert_allclose(found.mean, both.mean(axis=0), **CLOSE)


def test_pca__is_that_of_the_singular_values() -> None:
    found = pca.fit(moments({"a": X}, 9), "a", 3)
    left, values, right = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(found.variances, values**2 / 100, **CLOSE)
    np.testing.assert_allclose(np.abs(found.axes @ right[:3].T), np.eye(3), atol=1e-10)
    places = (left * values)[:, :3]
    signs = np.sign((found.axes * right[:3]).sum(axis=1))
    np.testing.assert_allclose(found.project(X), places * signs, rtol=1e-5, atol=1e-5)
    assert found.shares.sum() == pytest.approx(1)


def test_pca__of_a_sample_is_that_of_both_clouds_where_all_rows_are_in_it() -> None:
    draw = np.random.default_rng(5)
    x, y = (draw.standard_normal((50, 6)) * np.arange(1, 7) + n for n in (0, 3))
    whole = pca.fit(stacked(moments({"x": x, "y": y})), "joint", 4)
    found = pca.fit_sample([x, y], 4)
    np.testing.assert_allclose(found.mean, whole.mean)
    np.testing.assert_allclose(found.axes, whole.axes, atol=1e-9)
    np.testing.assert_allclose(found.variances, whole.variances)
    assert pca.fit_sample([x, y], 4, most=10).axes.shape == (4, 6)


def test_effective_rank__counts_equal_axes() -> None:
    values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    shares = values / values.sum()
    expected = math.exp(-sum(s * math.log(s) for s in shares))
    assert effective_rank(moments({"a": X}), "a") == pytest.approx(expected, abs=1e-10)
    cross = np.concatenate([np.eye(5), -np.eye(5)])
    assert effective_rank(moments({"a": cross}), "a") == pytest.approx(5)
    assert participation_ratio(moments({"a": cross}), "a") == pytest.approx(5)
    line = np.outer(np.arange(9.0), [1, 2, 3])
    assert participation_ratio(moments({"a": line}), "a") == pytest.approx(1)
    same = np.ones((7, 3))
    assert effective_rank(moments({"a": same}), "a") == 0
    assert participation_ratio(moments({"a": same}), "a") == 0


def test_alignment__is_the_mean_of_squared_distances() -> None:
    other = Y @ np.ones((4, 6)) + X
    apart = [(a / np.linalg.norm(a) - b / np.linalg.norm(b)) for a, b in zip(X, other, strict=True)]
    expected = np.mean([d @ d for d in apart])
    assert alignment(X, other) == pytest.approx(expected, abs=1e-10)
    assert alignment(X, 3 * X) == pytest.approx(0, abs=1e-20)
    assert alignment(X, -X) == pytest.approx(4)


def test_uniformity__is_over_all_pairs() -> None:
    rows = unit(X)
    kernel = [
        math.exp(-2 * float(np.sum((a - b) ** 2)))
        for i, a in enumerate(rows)
        for j, b in enumerate(rows)
        if i != j
    ]
    assert uniformity(X) == pytest.approx(math.log(np.mean(kernel)), abs=1e-10)
    assert uniformity(np.ones((50, 3))) == pytest.approx(0, abs=1e-12)
    two = np.array([[1.0, 0], [-1, 0]])
    assert uniformity(two) == pytest.approx(-8)


def test_cka__is_that_of_gram_matrices() -> None:
    center = np.eye(101) - 1 / 101
    k, m = center @ X @ X.T @ center, center @ Y @ Y.T @ center
    expected = np.trace(k @ m) / math.sqrt(np.trace(k @ k) * np.trace(m @ m))
    assert linear_cka(moments({"a": X, "b": Y}, 8), "a", "b") == pytest.approx(expected, abs=1e-10)
    turn = np.linalg.qr(MIX)[0]
    turned = {"a": X, "b": 4 * X @ turn}
    assert linear_cka(moments(turned), "a", "b") == pytest.approx(1)
    assert linear_cka(moments({"a": X, "b": np.ones((101, 2))}), "a", "b") == 0
