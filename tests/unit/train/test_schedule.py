from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.schedule import Schedule
from hpctrain.train.schedule import LearningRates, factor


def alone() -> SingleCommunicator:
    return SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))


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


def test_factor__exponential_takes_the_same_factor_at_each_step() -> None:
    falling = Schedule(kind="exponential", warmup_steps=2, final_factor=0.01)
    assert [factor(falling, step, 12) for step in (0, 2, 7, 12)] == pytest.approx(
        [0.5, 1, 0.1, 0.01]
    )
    rising = Schedule(kind="exponential", final_factor=1e6)
    rates = [factor(rising, step, 60) for step in range(60)]
    assert [b / a for a, b in zip(rates, rates[1:], strict=False)] == pytest.approx([10**0.1] * 59)


def test_learning_rates__are_a_function_of_the_step_alone() -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    rates = LearningRates(Schedule(kind="cosine"), {"g": optimizer}, 100, alone())
    for step in (0, 50, 50, 100):
        rates.set(step)
    assert rates.now()["g"] == pytest.approx(0.0)
    rates.set(50)
    assert rates.now()["g"] == pytest.approx(0.1)


def test_factor__step_equals_torchs_multi_step() -> None:
    schedule = Schedule(kind="step", milestones=[3, 7], gamma=0.5)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 7], gamma=0.5)
    for step in range(10):
        assert factor(schedule, step, 10) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()


def test_factor__a_run_shorter_than_its_warmup_rises_to_its_end() -> None:
    schedule = Schedule(kind="cosine", warmup_steps=100)
    assert [factor(schedule, step, 4) for step in range(4)] == [0.01, 0.02, 0.03, 0.04]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"final_factor": 0.1}, "final_factor has no effect with kind: constant"),
        ({"final_factor": 0.1}, "set kind: cosine or exponential"),
        ({"kind": "cosine", "gamma": 0.5}, "set kind: step"),
        ({"kind": "cosine", "final_factor": 2.0}, "final_factor 2 is above 1"),
        ({"kind": "exponential"}, "kind: exponential lacks final_factor"),
        ({"kind": "cosine", "plateau": {"metric": "validation/x"}}, "plateau has no effect"),
        ({"kind": "step"}, "lacks milestones"),
        ({"kind": "step", "milestones": [5, 5]}, "do not rise"),
        ({"kind": "plateau"}, "lacks a block plateau"),
        ({"kind": "plateau", "plateau": {"metric": "loss"}}, "pattern"),
    ],
)
def test_schedule__options_without_effect_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Schedule.model_validate(values)


def test_weight_decay__rises_by_step_also_for_a_restored_optimizer() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    groups = [{"params": [weight]}, {"params": [torch.nn.Parameter(torch.ones(2))]}]
    groups[1]["weight_decay"] = 0.0
    optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.04)
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    rates = LearningRates(Schedule(final_weight_decay=0.4), {"m": optimizer}, 10, comm)
    optimizer.load_state_dict(optimizer.state_dict())
    for step, expected in ((0, 0.04), (5, 0.22), (10, 0.4)):
        rates.set(step)
        assert optimizer.param_groups[0]["weight_decay"] == pytest.approx(expected)
        assert rates.decay_now() == pytest.approx(expected)
        assert optimizer.param_groups[1]["weight_decay"] == 0
