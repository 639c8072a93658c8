from __future__ import annotations

from typing import Any

import pytest

from hpctrain.config.run_facts import differences, run_facts
from hpctrain.errors import CheckpointError
from hpctrain.train.guard import check_schedule
from tests.jobs import mantle

SAVED = {"epochs": 100, "global_batch_size": 8, "steps_per_epoch": 50}


def test_check_schedule__same_is_fine() -> None:
    check_schedule(SAVED, dict(SAVED), is_allowed=False)


def test_check_schedule__more_epochs_is_refused_with_both_values() -> None:
    with pytest.raises(CheckpointError, match="epochs 100 -> 150.*--allow-schedule-change"):
        check_schedule(SAVED, {**SAVED, "epochs": 150}, is_allowed=False)


def test_check_schedule__allowed_when_asked_for() -> None:
    check_schedule(SAVED, {**SAVED, "epochs": 150}, is_allowed=True)


def facts(*settings: str) -> dict[str, Any]:
    return run_facts(mantle("local", "train.adversary.spectral_weight=0", *settings).job)


def of_before(*settings: str) -> dict[str, Any]:
    found = facts(*settings)
    for key in ("critic_batches", "preset", "spectral_weight"):
        del found["adversary"][key]
    return found


def test_check_schedule__settings_that_came_later_do_not_hinder() -> None:
    now = {**facts(), "steps_per_epoch": 9}
    saved = {**of_before(), "steps_per_epoch": 9}
    check_schedule(saved, now, is_allowed=False)
    check_schedule(now, saved, is_allowed=False)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("critic_batches=joint", "adversary.critic_batches 'separate' -> 'joint'"),
        ("spectral_weight=0.5", "adversary.spectral_weight 0.0 -> 0.5"),
        ("critic_steps=2", "adversary.critic_steps 5 -> 2"),
        ("discriminator.channels.base=64", "adversary.discriminator.channels.base 32 -> 64"),
    ],
)
def test_differences__name_the_setting_within_its_block(setting: str, text: str) -> None:
    assert differences(of_before(), facts(f"train.adversary.{setting}")) == [text]


def test_differences__a_preset_is_what_it_stands_for() -> None:
    penalty = "gradient_penalty={kind: r1, weight: 10.0, every: 16}"
    written = facts("train.adversary.critic_steps=1", f"train.adversary.{penalty}")
    named = {**written, "adversary": {**written["adversary"], "preset": "fast"}}
    assert differences(written, named) == []


def test_differences__of_another_kind_only_what_both_have() -> None:
    styled = facts("train.generator={kind: styled}")
    assert differences(facts(), styled)[0] == "generator.kind 'srsgan' -> 'styled'"
    assert "generator.projection" not in str(differences(facts(), styled))


def test_differences__of_a_whole_block_are_short() -> None:
    (text,) = differences(facts("train.adversary=null"), facts())
    assert text.startswith("adversary None -> {'optimizer': ")
    assert len(text) < 140
