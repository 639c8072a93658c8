"""`data.workers` and `prefetch_batches`: a number, or auto."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hpctrain.config.data import Fields
from hpctrain.config.training import Checkpoints


def fields(**settings: object) -> Fields:
    return Fields.model_validate(
        {"kind": "fields", "targets": ["*.npy"], "crop": [4, 4, 4], **settings}
    )


def test_workers__number_or_auto() -> None:
    assert (fields().workers, fields().prefetch_batches) == ("auto", "auto")
    assert fields(workers=0).workers == 0
    assert fields(workers=2, prefetch_batches=3).prefetch_batches == 3


@pytest.mark.parametrize("value", ["fast", -1, 2.5, True, None])
def test_workers__anything_else_is_one_error(value: object) -> None:
    with pytest.raises(ValidationError, match="1 validation error") as e:
        fields(workers=value)
    assert "allowed: auto, or a whole number from 0 on" in str(e.value)


def test_prefetch_batches__without_workers_has_no_effect() -> None:
    with pytest.raises(ValidationError, match="with workers: 0 nothing is read ahead"):
        fields(workers=0, prefetch_batches=3)


def test_keep_every__must_be_epochs_that_are_saved() -> None:
    assert Checkpoints(every_epochs=2, keep_every=4).keep_every == 4
    with pytest.raises(ValidationError, match="only every 2 epochs are saved; give a multiple"):
        Checkpoints(every_epochs=2, keep_every=5)
