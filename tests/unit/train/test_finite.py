from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hpctrain.errors import NonFiniteLossError
from hpctrain.train.finite import FiniteCheck
from hpctrain.train.task import Position


class NoFolder:
    def names(self) -> list[str]:
        return ["state_1.pt"]


def check(model: nn.Module) -> None:
    folder: Any = NoFolder()
    FiniteCheck(None, folder).parameters({"net": model}, Position())  # type: ignore[arg-type]


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
