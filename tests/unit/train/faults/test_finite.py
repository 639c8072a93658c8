from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hpctrain.errors import NonFiniteLossError
from hpctrain.train.faults.finite import FiniteCheck
from hpctrain.train.task import Position


class NoFolder:
    def names(self) -> list[str]:
        return ["state_1.pt"]


def finite_check() -> FiniteCheck:
    """Of epochs of five steps."""
    nothing: Any = NoFolder()
    return FiniteCheck(nothing, nothing, lambda epoch: 5)


def check(model: nn.Module) -> None:
    finite_check().parameters({"net": model}, Position())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_parameters__one_bad_element_is_named(value: float) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with torch.no_grad():
        model[1].weight[2, 3] = value
    with pytest.raises(NonFiniteLossError, match=r"parameter net.1.weight is not a finite"):
        check(model)


def test_parameters__infinities_of_both_signs_do_not_cancel() -> None:
    model = nn.Linear(4, 1)
    with torch.no_grad():
        model.weight[0, 0], model.weight[0, 1] = float("inf"), -float("inf")
    with pytest.raises(NonFiniteLossError):
        check(model)


def test_parameters__large_but_finite_ones_are_fine() -> None:
    model = nn.Linear(8, 1)
    with torch.no_grad():
        model.weight.fill_(3e38)  # the sum overflows
    check(model)
    check(nn.Identity())


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (Position(0, 0, 0), "before the first step: "),
        (Position(0, 3, 3), "by epoch 1, step 3: "),
        (Position(0, 5, 5), "by epoch 1, step 5: "),  # before the epoch is ended
        (Position(2, 0, 10), "by epoch 2, step 5: "),  # and after
    ],
)
def test_means_and_parameters__name_the_last_step_done(at: Position, expected: str) -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, float("nan"))
    with pytest.raises(NonFiniteLossError, match=f"^{expected}parameter net.weight is not"):
        finite_check().parameters({"net": model}, at)
    with pytest.raises(NonFiniteLossError, match=f"^{expected}generator is not a finite number"):
        finite_check().means({"generator": float("nan")}, at)
    finite_check().means({"generator": 1.0}, at)


def test_losses__of_a_step_that_is_not_counted_yet() -> None:
    with pytest.raises(NonFiniteLossError, match="^epoch 3, step 1: generator is not"):
        finite_check().losses({"generator": torch.tensor(float("inf"))}, Position(2, 0, 10))
