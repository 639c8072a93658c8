from __future__ import annotations

import pytest
import torch

from hpctrain.config.training import Schedule
from hpctrain.train.schedule import LearningRates, factor


def test_factor__constant_is_one() -> None:
    assert [factor(Schedule(), step, 10) for step in (0, 5, 9, 100)] == [1.0] * 4


def test_factor__warmup_rises_to_one_without_a_zero_step() -> None:
    schedule = Schedule(warmup_steps=4)
    assert [factor(schedule, step, 10) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_factor__cosine_ends_at_the_final_factor() -> None:
    schedule = Schedule(kind="cosine", warmup_steps=2, final_factor=0.1)
    assert factor(schedule, 2, 12) == pytest.approx(1.0)
    assert factor(schedule, 7, 12) == pytest.approx(0.55)
    assert factor(schedule, 12, 12) == pytest.approx(0.1)


def test_learning_rates__are_a_function_of_the_step_alone() -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    rates = LearningRates(Schedule(kind="cosine"), {"g": optimizer}, 100)
    for step in (0, 50, 50, 100):
        rates.set(step)
    assert rates.now()["g"] == pytest.approx(0.0)
    rates.set(50)
    assert rates.now()["g"] == pytest.approx(0.1)
