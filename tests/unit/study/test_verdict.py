"""What is called better, and what is called noise."""

import random
from statistics import stdev

import pytest

from hpctrain.study.noise import noise_of
from hpctrain.study.verdict import Compared, verdict


def say(groups, *, is_rising=False, curves=()):
    noise = noise_of(list(groups.values()), curves)
    arms = [Compared(label, values) for label, values in groups.items()]
    return verdict(arms, "loss", noise, is_rising=is_rising)


def test_noise_of__seeds_is_the_pooled_deviation():
    noise = noise_of([(1.0, 1.2, 1.1), (5.0, 5.4)], [])
    squares = 0.01 + 0.01 + 0.04 + 0.04
    assert noise.deviation == pytest.approx((squares / 3) ** 0.5)
    assert noise.freedom == 3
    # Student's t of 3 degrees, two-sided 95 %
    assert noise.margin(3, 2) == pytest.approx(3.182 * noise.deviation * (1 / 3 + 1 / 2) ** 0.5)


def test_noise_of__one_seed_is_the_scatter_without_the_trend():
    source = random.Random(1)
    scatter = [source.gauss(0, 0.1) for _ in range(400)]
    curves = [[5 - 0.3 * i + scatter[8 * k + i] for i in range(8)] for k in range(50)]
    noise = noise_of([(1.0,), (2.0,)], curves)
    assert not noise.is_of_seeds
    assert noise.deviation == pytest.approx(stdev(scatter), rel=0.1)
    assert "another seed may differ by more" in noise.text


def test_verdict__a_clear_winner():
    text = say({"plain": (2.0, 2.01), "residual": (1.0, 1.02), "norm": (1.5, 1.49)})
    assert text.startswith("residual (1.01) has the lowest loss, before norm (1.495) and plain")
    assert "the noise is" in text


def test_verdict__larger_may_be_better():
    text = say({"a": (2.0, 2.01), "b": (1.0, 1.02)}, is_rising=True)
    assert text.startswith("a (2.005) has the highest loss, before b (1.01)")


def test_verdict__differences_within_the_noise_are_called_so():
    text = say({"plain": (1.0, 1.4), "residual": (1.1, 1.2)})
    assert text.startswith(
        "residual (1.15) and plain (1.2) cannot be told apart by loss: the noise"
    )


def test_verdict__tied_ones_before_one_behind():
    text = say({"a": (1.0, 1.1), "b": (1.04, 1.02), "c": (9.0, 9.1)})
    assert "b (1.03) and a (1.05) cannot be told apart" in text
    assert text.endswith("behind them c (9.05)")


def test_verdict__nothing_tells_noise():
    text = say({"a": (1.0,), "b": (2.0,)}, curves=[[1.0], [2.0]])
    assert text == "a (1) has the lowest loss, before b (2)"
    assert "nothing says what is noise" in noise_of([(1.0,), (2.0,)], [[1.0]]).text
