"""The plateau rule against torch's, and its memory over a stop."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.schedule import Plateau, Schedule
from hpctrain.train.plateau import EpochMean, PlateauRule
from hpctrain.train.schedule import LearningRates


class Rank(SingleCommunicator):
    """One of several ranks, whose gathered values the test sets."""

    def __init__(self, rank: int, world_size: int) -> None:
        super().__init__(Ranks(rank, world_size, 0, 1, "here"), torch.device("cpu"))
        self.others: list[Any] = []

    def allgather_object(self, value: Any) -> list[Any]:
        return [*self.others, value]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("seed", range(5))
def test_rule__equals_torchs(mode: str, seed: int) -> None:
    rule = Plateau(metric="validation/x", mode=mode, factor=0.5, patience=2, min_factor=0.05)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, factor=0.5, patience=2, threshold=1e-4, min_lr=0.01, eps=0.0
    )
    found = PlateauRule(rule, Rank(0, 1))
    draws = random.Random(seed)
    for _ in range(60):
        value = draws.choice([1.0, 1.00005, 2.0, 0.5]) * draws.choice([1.0, draws.random() + 0.5])
        found.validated({"x": value})
        reference.step(value)
        assert 0.2 * found.state.factor == pytest.approx(optimizer.param_groups[0]["lr"])


def rates(comm: SingleCommunicator) -> LearningRates:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    plateau = Plateau(metric="train/loss/g", patience=0, factor=0.5)
    schedule = Schedule(kind="plateau", plateau=plateau, warmup_steps=2)
    return LearningRates(schedule, {"g": optimizer}, 100, comm)


def test_training_loss__mean_over_an_epoch_decides_also_over_a_stop() -> None:
    """Epoch 2 has the worse mean, though not the worse end."""
    whole, first, second = (rates(Rank(0, 1)) for _ in range(3))
    values = [1.0, 1.0, 4.0, 0.1]
    for found in (whole, first):
        for value in values[:2]:
            found.observe({"g": torch.tensor(value)}, 1.0)
        found.end_epoch()
        found.observe({"g": torch.tensor(values[2])}, 1.0)
    second.restore(first.save())
    for found in (whole, second):
        found.observe({"g": torch.tensor(values[3])}, 0.5)
        found.end_epoch()
        found.set(50)
        assert found.now()["g"] == pytest.approx(0.1)
    assert whole.save() == second.save()


def test_epoch_mean__goes_on_on_another_number_of_ranks() -> None:
    parts = [[3.0, 2.0], [5.0, 2.0]]
    expected = EpochMean("g", comm := Rank(1, 2))
    comm.others = [parts[0]]
    expected.restore(parts)
    alone = EpochMean("g", Rank(0, 1))
    alone.restore(parts)
    assert alone.take() == expected.take() == 2.0
    assert alone.take() is None
