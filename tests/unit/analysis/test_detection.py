"""Numbers of a histogram of scores against the same by brute force over single pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpctrain.analysis.detection import LIMIT, NUM_BINS, Detection, edges

WIDTH = 2 * LIMIT / NUM_BINS


def drawn() -> tuple[np.ndarray, np.ndarray, Detection]:
    """Scores in the middle of bins, many of them equal, with their classes."""
    rng = np.random.default_rng(0)
    is_ink = rng.random(400) < 0.2
    bins = np.clip(rng.normal(2000 + 60 * is_ink, 50).astype(int), 0, NUM_BINS - 1)
    scores = -LIMIT + WIDTH * (bins + 0.5)
    counts = [np.bincount(bins[own], minlength=NUM_BINS).astype(float) for own in (is_ink, ~is_ink)]
    return scores, is_ink, Detection(*counts)


def test_auc__is_the_share_of_pairs_in_order() -> None:
    scores, is_ink, found = drawn()
    pairs = scores[is_ink][:, None] - scores[~is_ink][None]
    assert found.auc() == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean(), abs=1e-12)


def test_f_beta_and_average_precision__by_brute_force() -> None:
    scores, is_ink, found = drawn()
    best, ap, recall_above = (0.0, 0.0), 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        says = scores >= threshold
        true, false = (says & is_ink).sum(), (says & ~is_ink).sum()
        missed = (~says & is_ink).sum()
        f = 1.25 * true / (1.25 * true + 0.25 * missed + false)
        best = max(best, (f, threshold))
        recall, precision = true / is_ink.sum(), true / (true + false)
        ap, recall_above = ap + (recall - recall_above) * precision, recall
    value, at = found.best(0.5)
    assert value == pytest.approx(best[0], abs=1e-12)
    says = scores >= math.log(at / (1 - at))
    true, false = (says & is_ink).sum(), (says & ~is_ink).sum()
    assert value == pytest.approx(1.25 * true / (true + false + 0.25 * is_ink.sum()), abs=1e-12)
    assert found.average_precision() == pytest.approx(ap, abs=1e-12)


def test_dice__is_twice_the_overlap_over_the_sum() -> None:
    scores, is_ink, found = drawn()
    says = scores >= -LIMIT + WIDTH * 2050
    dice = 2 * (says & is_ink).sum() / (says.sum() + is_ink.sum())
    assert found.f_beta(1.0)[2050] == pytest.approx(dice, abs=1e-12)


def test_auc__of_a_perfect_and_a_blind_net() -> None:
    low, high, flat = np.zeros(NUM_BINS), np.zeros(NUM_BINS), np.zeros(NUM_BINS)
    low[7], high[4000], flat[7] = 5, 3, 3
    assert Detection(high, low).auc() == 1.0
    assert Detection(high, low).best(0.5)[0] == 1.0
    assert Detection(flat, low).auc() == 0.5


def test_detection__of_one_class_is_no_number_and_no_crash() -> None:
    counts = np.zeros(NUM_BINS)
    counts[3] = 4
    found = Detection(np.zeros(NUM_BINS), counts)
    assert math.isnan(found.auc())
    assert math.isnan(found.average_precision())
    assert all(math.isnan(value) for value in found.best(0.5))
    all_ink = Detection(counts, np.zeros(NUM_BINS))
    assert all_ink.best(0.5)[0] == 1.0


def test_calibration_error__is_the_mean_gap_of_pixels_by_their_interval() -> None:
    scores, is_ink, found = drawn()
    p = 1 / (1 + np.exp(-scores))
    gap = 0.0
    for part in range(10):
        own = (p * 10).astype(int) == part
        gap += abs(p[own].sum() - is_ink[own].sum())
    assert found.calibration_error() == pytest.approx(gap / len(p), abs=1e-9)
    assert math.isnan(Detection(np.zeros(NUM_BINS), np.zeros(NUM_BINS)).calibration_error())


def test_calibration__of_scores_that_are_right() -> None:
    p = np.append(edges()[1:], 1.0)
    found = Detection(1e6 * p, 1e6 * (1 - p)).calibration()
    assert found["ink"] == pytest.approx(found["predicted"], abs=5e-3)
    assert len(found["pixels"]) == 10
    assert len(Detection(p, 1 - p).curves(50)["f05"]) == 50
