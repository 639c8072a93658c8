"""What a loss or a validation must look like for an alarm, and what it says."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpctrain.config.alarms import Alarms
from hpctrain.train.alarms import LossWatch, constant_output, kinds, posterior_collapse
from hpctrain.train.reporting import Reporter
from hpctrain.train.task import Position


def falling(count: int, end: float = 0.2, scatter: float = 0.01) -> list[float]:
    draw = random.Random(0)
    return [end + math.exp(-i / 20) + draw.gauss(0, scatter) for i in range(count)]


def told(losses: list[float], **settings: float) -> list[set[str]]:
    watch = LossWatch(Alarms(**{"plateau_points": 50, **settings}), "loss/vae")
    return [kinds(watch.observe(10 * i, loss)) for i, loss in enumerate(losses)]


def test_loss__that_falls_with_noise_is_quiet() -> None:
    assert set().union(*told(falling(80))) == set()


def test_spike__is_told_once_with_its_number() -> None:
    losses = falling(60)
    losses[40] = 3.0
    found = told(losses)
    assert [i for i, kind in enumerate(found) if "spike" in kind] == [40]
    watch = LossWatch(Alarms(), "loss/vae")
    (alarm,) = [a for i, loss in enumerate(losses[:41]) for a in watch.observe(10 * i, loss)]
    assert "loss/vae 3 at step 400" in alarm.text
    assert alarm.value > 8
    assert "spike" not in set().union(*told(losses, spike=0))


def test_plateau__is_a_loss_that_does_not_fall_and_ends_when_it_does() -> None:
    losses = [*falling(30, scatter=0), *[0.42] * 70, *[0.42 - 0.005 * i for i in range(60)]]
    found = ["plateau" in kind for kind in told(losses)]
    assert not any(found[:60])
    assert all(found[85:100])
    assert not any(found[130:])
    assert not any("plateau" in kind for kind in told(losses, plateau_points=0))


def test_plateau__of_a_training_that_never_learned() -> None:
    draw = random.Random(1)
    found = told([0.69 + draw.gauss(0, 1e-4) for _ in range(200)])
    assert any("plateau" in kind for kind in found)


def test_plateau__is_none_while_a_weight_rises() -> None:
    losses = [0.5 + math.exp(-i / 10) + 0.3 * min(1, i / 200) for i in range(300)]
    watch = LossWatch(Alarms(plateau_points=50), "loss/vae", plateau_from=2000)
    found = [kinds(watch.observe(10 * i, loss)) for i, loss in enumerate(losses)]
    assert not any(found[:249])
    assert found[260] == {"plateau"}, "behind it there is nothing that could be rising"
    assert any(told(losses)[:200])


class Lines:
    """A recorder that keeps nothing but alarms."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def scalars(self, kind: str, epoch: int, step: int, values: dict[str, float]) -> None:
        self.told += [(step, name) for name in values]


def reported(folder: Path, losses: list[float], starts: tuple[int, ...]) -> list[tuple[int, str]]:
    """Steps and kinds of alarms of a training that was stopped and resumed at some log lines."""
    (folder / "logs").mkdir(parents=True)
    lines, told = folder / "logs" / "metrics.jsonl", []
    train = SimpleNamespace(
        epochs=1, alarms=Alarms(plateau_points=40, plateau_fall=0.05), same_loss_from=0
    )
    run: Any = SimpleNamespace(path=folder, job=SimpleNamespace(train=train))
    state: Any = SimpleNamespace(update=lambda **fields: None)
    for begin, end in pairwise((*starts, len(losses))):
        nothing: Any = None
        reporter = Reporter(run, state, nothing, nothing, nothing, is_main=True)
        recorder: Any = Lines()
        reporter._recorder = recorder
        for i in range(begin, end):
            page = {"kind": "train", "step": 10 * i, "loss/vae": losses[i]}
            with lines.open("a") as file:
                file.write(json.dumps(page) + "\n")
            reporter.watch_loss(Position(0, 10 * i, 10 * i), {"vae": losses[i]})
        told += recorder.told
    return told


def test_alarms__of_a_resumed_run_are_those_of_an_uninterrupted_one(tmp_path: Path) -> None:
    losses = falling(150)
    losses[83] = 3.0
    whole = reported(tmp_path / "whole", losses, (0,))
    assert {kind for _, kind in whole} == {"spike", "plateau"}
    assert reported(tmp_path / "resumed", losses, (0, 30, 80)) == whole


def test_loss__that_is_no_number_is_left_to_its_guard() -> None:
    assert told([math.nan, math.inf]) == [set(), set()]


def test_constant_output__names_the_ratio() -> None:
    (alarm,) = constant_output(2e-5, 0.5, 0.01)
    assert (alarm.kind, alarm.value) == ("constant_output", pytest.approx(4e-5))
    assert "4e-05 of that of the data (alarm below 0.01)" in alarm.text
    assert constant_output(0.1, 0.5, 0.01) == []
    assert constant_output(0.0, 0.5, 0.0) == []
    assert constant_output(0.0, 0.0, 0.01) == []  # data of one value: nothing can be told


def test_posterior_collapse__counts_active_units() -> None:
    (alarm,) = posterior_collapse(3, 512, 0.02)
    assert "3 of 512 latent numbers are active, 0.6% (alarm below 2.0%)" in alarm.text
    assert posterior_collapse(11, 512, 0.02) == []
    assert posterior_collapse(0, 512, 0.0) == []
