"""What comes back from a checkpoint, and what stays as the job file has it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.optimizer import Optimizer as Settings
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.snapshot import collect, restore
from hpctrain.train.task import Position


class Counting(torch.optim.SGD):
    """Keeps what it has found out in its groups, as Prodigy and schedule-free optimizers do."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        for group in self.param_groups:
            group["k"] = 0

    def step(self, closure: Any = None) -> None:
        super().step()
        for group in self.param_groups:
            group["k"] += 1


COUNTING = f"{__name__}.Counting"


class Run:
    """A network and its optimizer."""

    def __init__(self, **settings: Any) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(3, 2)
        self.task: Any = SimpleNamespace(models={"model": self.model}, state=dict)
        self.comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
        made = build_optimizer(Settings(**settings), self.model.parameters())
        self.optimizers = {"model": made}

    def train(self, steps: int) -> Run:
        for i in range(steps):
            self.optimizers["model"].zero_grad()
            self.model(torch.full((1, 3), i + 1.0)).square().sum().backward()
            self.optimizers["model"].step()
        return self

    def saved(self) -> dict[str, Any]:
        return collect(self.task, self.optimizers, self.comm, Position(0, 3, 3))

    def restored(self, saved: dict[str, Any]) -> Run:
        restore(saved, self.task, self.optimizers, self.comm)
        return self

    @property
    def group(self) -> dict[str, Any]:
        return self.optimizers["model"].param_groups[0]


def test_restore__brings_back_what_an_optimizer_keeps_in_its_groups() -> None:
    saved = Run(name=COUNTING, learning_rate=0.01).train(3).saved()
    resumed = Run(name=COUNTING, learning_rate=0.01).restored(saved).train(2)
    assert resumed.group["k"] == 5


def test_restore__options_stay_those_of_the_job_file() -> None:
    saved = Run(name=COUNTING, learning_rate=0.01).train(3).saved()
    other = Run(name=COUNTING, learning_rate=0.02, weight_decay=0.5).restored(saved)
    assert (other.group["lr"], other.group["weight_decay"]) == (0.02, 0.5)
    assert other.group["k"] == 3
    adam = Run(betas=(0.9, 0.99), eps=1e-7, implementation="foreach")
    adam.restored(Run(name="Adam", eps=1e-6).train(2).saved()).train(1)
    assert (adam.group["betas"], adam.group["eps"]) == ((0.9, 0.99), 1e-7)
    assert adam.group["foreach"]
    assert adam.optimizers["model"].state[adam.model.weight]["step"] == 3


class Kernels(Run):
    """A convolution, whose weights may lie in memory in two ways."""

    def __init__(self, layout: torch.memory_format, **settings: Any) -> None:
        super().__init__(**settings)
        torch.manual_seed(1)
        self.model = nn.Conv2d(3, 4, 3).to(memory_format=layout)
        self.task.models["model"] = self.model
        self.optimizers["model"] = build_optimizer(Settings(**settings), self.model.parameters())

    def train(self, steps: int) -> Kernels:
        inputs = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(2))
        for _ in range(steps):
            self.optimizers["model"].zero_grad()
            self.model(inputs).square().sum().backward()
            self.optimizers["model"].step()
        return self


@pytest.mark.parametrize("name", ["AdamW", "Adam", "Adagrad"])
@pytest.mark.parametrize("implementation", ["auto", "fused", "for_loop"])
def test_restore__moments_follow_another_layout_of_the_weights(name, implementation) -> None:
    settings = {"name": name, "learning_rate": 0.01, "implementation": implementation}
    first = Kernels(torch.contiguous_format, **settings).train(3)
    resumed = Kernels(torch.channels_last, **settings)
    resumed.restored(copy.deepcopy(first.saved())).train(3)
    assert resumed.model.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(resumed.model.weight, first.train(3).model.weight, atol=1e-6)


@pytest.mark.parametrize("names", [("SGD", "AdamW"), ("AdamW", "SGD"), ("Adam", "LAMB")])
def test_restore__another_optimizer_begins_afresh(
    names: tuple[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpctrain.log.logger.propagate", True)
    first, second = names
    saved = Run(name=first).train(3).saved()
    resumed = Run(name=second)
    fresh = dict(resumed.group)
    with caplog.at_level(logging.WARNING):
        resumed.restored(saved)
    (line,) = caplog.messages
    assert first.casefold() in line.casefold()
    assert second.casefold() in line.casefold()
    assert resumed.group == fresh
    expected = Run(name=second)
    expected.model.load_state_dict(saved["models"]["model"])
    torch.testing.assert_close(
        resumed.train(2).model.state_dict(), expected.train(2).model.state_dict()
    )
