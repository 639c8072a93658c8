"""Chi-squares between sets of samples: 1 for equals, much more for unequals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hpctrain.analysis.sample_statistics import (
    Moments,
    chi_square,
    floor_chi_square,
    histogram_edges,
    histograms,
)


def moments(rows: torch.Tensor) -> Moments:
    return Moments(float(len(rows)), rows.sum(0), rows.square().sum(0))


def test_moments__are_those_of_numpy() -> None:
    rows = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found, x = moments(rows), rows.numpy()
    assert found.mean.tolist() == pytest.approx(x.mean(0).tolist())
    assert found.variance.tolist() == pytest.approx(x.var(0, ddof=1).tolist())
    assert found.error.tolist() == pytest.approx((x.std(0, ddof=1) / 7**0.5).tolist())
    assert moments(rows[:1]).variance.tolist() == [0.0] * 5


def test_chi_square__equals_the_formula() -> None:
    made = torch.tensor([[1.0, 5.0], [3.0, 5.0]], dtype=torch.float64)
    true = torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]], dtype=torch.float64)
    # variances 1 and 4; means 2 and 5 against 2 and 4; 1/2 + 1/3 = 5/6
    assert float(chi_square(moments(made), moments(true))) == pytest.approx(
        (0 + 1 / (4 * 5 / 6)) / 2
    )


def test_chi_square__one_for_samples_of_one_origin_and_more_for_a_shift() -> None:
    draws = torch.randn(
        2, 400, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    true, made = moments(draws[0]), moments(draws[1])
    assert float(chi_square(made, true)) == pytest.approx(1, abs=0.3)
    halves = moments(draws[0, :200]), moments(draws[0, 200:])
    assert float(floor_chi_square(*halves, true)) == pytest.approx(1, abs=0.3)
    assert float(chi_square(moments(draws[1] + 0.5), true)) > 30


def test_chi_square__scatter_of_the_generator_does_not_flatter_it() -> None:
    draws = torch.randn(400, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wide = moments(20 * draws.flip(0) + 1)
    assert float(chi_square(wide, moments(draws))) > 50


def test_chi_square__bin_that_no_true_sample_reaches() -> None:
    true = moments(torch.tensor([[1.0, 0.0]] * 10, dtype=torch.float64))
    same, other = ([[1.0, 0.0]] * 10, [[1.0, 0.1]] * 10)
    assert float(chi_square(moments(torch.tensor(same).double()), true)) == 0
    found = chi_square(moments(torch.tensor(other).double()), true, least=0.01)
    assert float(found) == pytest.approx((0.1**2 / (2 * 0.01**2)) / 2)


def test_edges__of_counts_lie_between_whole_numbers() -> None:
    counts = np.random.default_rng(0).poisson(1.0, 1000) ** 3
    edges = histogram_edges(counts.astype(np.float32), 25)
    assert all(e % 1 == 0.5 for e in edges)
    assert edges[0] == counts.min() - 0.5
    assert edges[-1] == counts.max() + 0.5
    assert edges[1] == 0.5, "empty cells have a bin of their own"
    assert edges == sorted(set(edges))


def test_edges__of_numbers_are_linear_then_logarithmic() -> None:
    values = np.random.default_rng(0).lognormal(0, 2, 5000) - 0.5
    edges = np.array(histogram_edges(values, 25))
    assert len(edges) == 26
    assert edges[0] == pytest.approx(values.min())
    assert edges[-1] == pytest.approx(values.max())
    steps = np.diff(edges)
    assert steps[-1] / steps[-2] > 1.2
    assert steps[1] / steps[0] < 1.2


def test_edges__equal_values_are_an_error() -> None:
    with pytest.raises(ValueError, match="all values are 3; a histogram needs two"):
        histogram_edges(np.full(5, 3.0), 4)


def test_histograms__equal_numpy_and_take_in_what_lies_beyond() -> None:
    values = torch.randn(
        3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    edges = [-1.0, -0.2, 0.1, 1.5]
    wide = [-np.inf, *edges[1:-1], np.inf]
    expected = [np.histogram(row.numpy(), wide)[0] / 64 for row in values]
    assert np.allclose(histograms(values, edges).numpy(), expected)
