from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from hpctrain.analysis.histogram_distance import histogram_distance


def test_distance__of_shifted_values_is_the_shift():
    x = np.random.default_rng(0).normal(size=(4, 50))
    assert histogram_distance(x + 2.5, x) == pytest.approx(2.5)
    assert histogram_distance(x[::-1], x) == 0  # places do not matter


def test_distance__with_weights_agrees_with_scipy():
    rng = np.random.default_rng(1)
    a, b, w = rng.normal(size=(30, 7)), rng.gamma(2, size=(30, 7)), rng.random((30, 1))
    all_weights = np.broadcast_to(w, a.shape).ravel()
    expected = wasserstein_distance(a.ravel(), b.ravel(), all_weights, all_weights)
    assert histogram_distance(a, b, w) == pytest.approx(expected)
    equal = np.ones((30, 1))
    assert histogram_distance(a, b, equal) == pytest.approx(histogram_distance(a, b))


def test_distance__of_unequal_shapes_is_refused():
    with pytest.raises(ValueError, match="shape"):
        histogram_distance(np.zeros(3), np.zeros(4))
