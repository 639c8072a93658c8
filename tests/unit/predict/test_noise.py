"""Noise in place: normal, reproducible, and the same numbers whatever tile asks for them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from hpctrain.models import SrGenerator
from hpctrain.predict.noise import Layer, PlacedNoise, layers_of, normals

CPU = torch.device("cpu")
CUBE = [torch.arange(40)] * 3


def splitmix(key: int, place: tuple[int, int, int]) -> float:
    """The same number in whole numbers of Python, from the published steps."""
    mask = 2**64 - 1
    counter = 0
    for p in place:
        counter = counter * 2**21 + (p + 2**20) % 2**21
    z = (counter * 0x9E3779B97F4A7C15 + key) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    z ^= z >> 31
    u, v = ((((z >> s) & 0xFFFFFF) + 0.5) / 2**24 for s in (40, 16))
    return float(np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v))


@pytest.mark.parametrize("key", [0, 5, 2**64 - 3])
def test_normals__are_those_of_the_published_steps(key: int) -> None:
    places = [torch.tensor([-3, 0, 1]), torch.tensor([0, 70_000]), torch.tensor([-1, 2, 9])]
    found = normals(key, places, CPU)
    expected = [
        [[splitmix(key, (int(a), int(b), int(c))) for c in places[2]] for b in places[1]]
        for a in places[0]
    ]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_normals__are_normal_and_neighbours_have_nothing_to_do_with_each_other() -> None:
    x = normals(7, CUBE, CPU).double().numpy()
    assert stats.kstest(x.ravel(), "norm").pvalue > 0.01
    others = normals(8, CUBE, CPU).double().numpy()
    pairs = [(x, others), (x[1:], x[:-1]), (x[:, 1:], x[:, :-1]), (x[..., 1:], x[..., :-1])]
    for a, b in pairs:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_noise__of_a_part_is_a_part_of_the_noise() -> None:
    layers = [Layer(Fraction(2), (Fraction(2),) * 3)]
    like = torch.empty(1, 3, 20, 20, 20)
    whole = PlacedNoise(3, layers, (0, -1, 0), (None, None, 12))(like)
    # along the periodic axis 24 cells on is the same place
    again = PlacedNoise(3, layers, (0, -1, 12), (None, None, 12))(like)
    assert torch.equal(again, whole)
    shifted = PlacedNoise(3, layers, (2, 1, 0), (None, None, 12))(like[..., :8, :8, :8])
    assert torch.equal(shifted, whole[..., 4:12, 4:12, :8])
    assert not torch.equal(PlacedNoise(4, layers, (0, -1, 0), (None,) * 3)(like), whole)


def test_layers__lie_where_the_generator_has_them() -> None:
    with torch.device("meta"):
        network = SrGenerator(1, 1, 4, 4, 4, 4)
    found = layers_of(network, lambda net, x, noise: net(x, noise), 1, (9, 10, 11), 1)
    # doubling makes n cells 2n - 2, a convolution takes off one more at each end
    assert found == tuple(
        Layer(Fraction(s), (Fraction(m),) * 3) for s, m in ((1, 0), (2, 2), (2, 3), (4, 8))
    )
