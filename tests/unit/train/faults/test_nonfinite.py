"""What is said of a step whose loss or gradient is no number."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hpctrain.errors import NonFiniteLossError
from hpctrain.tasks.super_resolution import SuperResolutionTask
from tests.runs import JOB
from tests.unit.train.test_trainer import change, run_dir, trainer  # noqa: F401 - a fixture

LEFT_OUT = "the step of generator, and what would have followed it, was left out"


class FaultyTask(SuperResolutionTask):
    """Its generator's loss is no number, which is seen after the critic has stepped."""

    def training_step(self, batch: Any, update: Any, at: Any) -> Any:
        self.content_loss = lambda output, target: (output - target).sum() * float("nan")
        return super().training_step(batch, update, at)


@pytest.fixture
def adversarial(run_dir: Path) -> Path:  # noqa: F811
    change(run_dir, adversary=JOB["train"]["adversary"], epochs=1)  # type: ignore[index]
    return run_dir


def test_skip__critic_steps_stay_and_no_word_denies_it(
    adversarial: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(adversarial, non_finite={"policy": "skip", "max_skips": 1})
    made = trainer(adversarial, FaultyTask)
    critic = made.task.models["discriminator"]
    before = torch.nn.utils.parameters_to_vector(critic.parameters()).clone()
    with (
        caplog.at_level(logging.WARNING, "hpctrain"),
        pytest.raises(NonFiniteLossError, match=f"{LEFT_OUT}$"),
    ):
        made.fit()
    assert not torch.equal(before, torch.nn.utils.parameters_to_vector(critic.parameters()))
    assert f"); {LEFT_OUT} (1 skipped so far)" in caplog.text
    lines = (adversarial / "logs" / "metrics.jsonl").read_text().splitlines()
    told = [yaml.safe_load(line) for line in lines if "non_finite" in line]
    assert [line["step"] for line in told] == [1]


def test_back__too_often_says_what_was_left_out(adversarial: Path) -> None:
    change(adversarial, non_finite={"policy": "back", "max_returns": 1})
    with pytest.raises(NonFiniteLossError, match=f"{LEFT_OUT}$"):
        trainer(adversarial, FaultyTask).fit()
