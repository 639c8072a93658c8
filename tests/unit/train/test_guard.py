from __future__ import annotations

import pytest

from hpctrain.errors import CheckpointError
from hpctrain.train.guard import check_schedule

SAVED = {"epochs": 100, "global_batch_size": 8, "steps_per_epoch": 50}


def test_check_schedule__same_is_fine() -> None:
    check_schedule(SAVED, dict(SAVED), is_allowed=False)


def test_check_schedule__more_epochs_is_refused_with_both_values() -> None:
    with pytest.raises(CheckpointError, match="epochs 100 -> 150.*--allow-schedule-change"):
        check_schedule(SAVED, {**SAVED, "epochs": 150}, is_allowed=False)


def test_check_schedule__allowed_when_asked_for() -> None:
    check_schedule(SAVED, {**SAVED, "epochs": 150}, is_allowed=True)
