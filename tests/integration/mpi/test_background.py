"""Checkpoints are written beside the training: killed, stopped and ended while a write hangs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpctrain.train.checkpoint import CheckpointFolder
from tests.integration.mpi.conftest import SmallRun, newest, wait_until
from tests.integration.mpi.test_resume import assert_equal_bits, ranks_of
from tests.requires import requires

HANGING_DISK = '''"""A plain loss, and a disk that hangs at one file while another file is there."""

import os
import time

from torch import nn

_fsync = os.fsync


def fsync(fd):
    name = os.readlink(f"/proc/self/fd/{fd}")
    while ".state_0_step_4.pt" in name and os.path.exists(os.environ["GATE"]):
        time.sleep(0.02)
    _fsync(fd)


os.fsync = fsync


class Plain(nn.MSELoss):
    pass
'''


def steps(run: Path) -> int:
    path = run / "logs" / "metrics.jsonl"
    return path.read_text().count('"kind": "train"') if path.exists() else 0


@pytest.fixture
def gate(small: SmallRun) -> Iterator[Path]:
    """While this file is there the disk hangs; taken away at the end, whatever happens."""
    path = small.folder / "gate"
    yield path
    path.unlink(missing_ok=True)


@requires(mpi=True)
def test_write_that_hangs__steps_go_on_kills_lose_nothing_and_leaving_waits(
    small: SmallRun, gate: Path
) -> None:
    (small.folder / "mine" / "disk.py").write_text(HANGING_DISK)
    settings = ("code=[mine]", "train.criterion=disk.Plain", f"launch.env.GATE={gate}")
    settings += ("launch.comm=ddp", "train.epochs=2")
    whole = small.finished(*settings)
    gate.touch()
    run = small.render(small.unique("hangs"), *settings, "train.checkpoints.every_steps=2")
    half = run / "checkpoints" / ".state_0_step_4.pt.tmp"

    process = small.start(run)
    wait_until(lambda: half.exists() and steps(run) == 5)  # a step after the one being written
    assert json.loads((run / "state.json").read_text())["saved_step"] == 2
    os.kill(ranks_of(run)[0], signal.SIGKILL)
    assert process.wait(timeout=60) not in (0, 75)
    found = CheckpointFolder(run / "checkpoints", 3).load_newest()
    assert found is not None
    assert found[0] == "state_0_step_2.pt"

    half.unlink()
    process = small.start(run)
    wait_until(lambda: half.exists() and steps(run) == 5)
    (run / "STOP").touch()
    assert newest(run).keys()  # the older one is whole all the time
    gate.unlink()
    assert process.wait(timeout=60) in (0, 75), (run / "out.txt").read_text()
    state = json.loads((run / "state.json").read_text())
    assert state["saved_step"] == state["global_step"] >= 5
    assert not half.exists()

    small.finish(run)
    assert_equal_bits(whole, run)
