"""Ranks that torchrun starts train, stop and fail as those of any other launcher."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.integration.mpi.conftest import SmallRun, wait_until
from tests.integration.mpi.test_resume import ranks_of

TORCHRUN = ("launch.launcher=torchrun", "launch.comm=auto")
LONG = (*TORCHRUN, "train.epochs=500")


def state_of(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((run / "state.json").read_text())
    return state


def start_training(small: SmallRun, run: Path) -> Any:
    """Start a run and wait until it has made a step more than it had saved."""
    saved = state_of(run).get("saved_step", 0)
    process = small.start(run)
    wait_until(lambda: process.poll() is not None or is_beyond(run, saved))
    assert process.poll() is None, (run / "out.txt").read_text()
    return process


def is_beyond(run: Path, step: int) -> bool:
    state = state_of(run)
    return bool(state["status"] == "running" and state.get("global_step", 0) > step)


def test_torchrun__trains_on_two_ranks(small: SmallRun) -> None:
    run = small.render(small.unique("torchrun"), *TORCHRUN)
    assert "mpirun" not in (run / "run.sh").read_text()
    text = small.finish(run)
    launch = json.loads((run / "manifest.json").read_text())["launches"][-1]
    assert state_of(run)["status"] == "finished", text
    assert (launch["world_size"], launch["comm"]) == (2, "ddp")


def test_torchrun__the_file_stop_leaves_with_75_and_it_goes_on(small: SmallRun) -> None:
    run = small.render(small.unique("torchrun"), *LONG)
    process = start_training(small, run)
    (run / "STOP").touch()
    assert process.wait(timeout=120) == 75, (run / "out.txt").read_text()
    assert state_of(run)["status"] == "stopped"
    saved = state_of(run)["saved_step"]

    process = start_training(small, run)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 75, (run / "out.txt").read_text()
    assert state_of(run)["saved_step"] > saved


def test_torchrun__a_rank_that_dies_fails_the_job(small: SmallRun) -> None:
    run = small.render(small.unique("torchrun"), *LONG)
    process = start_training(small, run)
    os.kill(ranks_of(run)[1], signal.SIGKILL)
    assert process.wait(timeout=60) not in (0, 75)
    assert state_of(run)["status"] == "failed"
    wait_until(lambda: not ranks_of(run), 60)
