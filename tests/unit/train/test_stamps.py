from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.stamps import Stamps
from hpctrain.train.task import Position

AT = Position(1, 0, 5)


@pytest.fixture
def stamps(tmp_path: Path) -> Stamps:
    return Stamps(tmp_path)


def test_product__waits_for_the_digest_of_its_checkpoint(stamps: Stamps) -> None:
    stamps.begin(5)
    assert stamps.is_pending(AT)
    assert stamps.product("figure", AT, patience_s=0.0).checkpoint is None
    threading.Timer(0.1, stamps.end, (5, "state_1.pt", "ab")).start()
    stamp = stamps.product("figure", AT)
    assert (stamp.checkpoint, stamp.checkpoint_digest) == ("state_1.pt", "ab")
    assert (stamp.epoch, stamp.global_step) == (1, 5)
    assert not stamps.is_pending(AT)


def test_product__of_a_step_that_was_not_saved_does_not_wait(stamps: Stamps) -> None:
    stamps.begin(4)
    assert stamps.product("figure", AT).checkpoint is None


@pytest.mark.parametrize("way", ["failed write", "failed training"])
def test_product__does_not_wait_in_vain(stamps: Stamps, way: str) -> None:
    stamps.begin(5)
    end = (lambda: stamps.end(5)) if way == "failed write" else stamps.give_up
    threading.Timer(0.1, end).start()
    assert stamps.product("figure", AT).checkpoint_digest is None


def test_went_on_from__names_the_parent_with_a_stamp_or_without(tmp_path, stamps) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints", keep_last=2)
    name, digest = folder.save({}, 1, 0, stamps.checkpoint(AT))
    stamps.went_on_from(name, 5)
    parent = stamps.checkpoint(Position(2, 0, 10))
    assert (parent.checkpoint, parent.checkpoint_digest) == (name, digest)
    assert stamps.product("evaluation", AT).checkpoint == name
    old, digest = folder.save({}, 2, 0)  # as an older version wrote it
    stamps.went_on_from(old, 10)
    assert stamps.checkpoint(AT).checkpoint_digest == digest
