"""Ranks that torchrun starts train, stop and fail as those of any other launcher."""

from __future__ import annotations

import json
import os
import signal

from tests.integration.mpi.conftest import SmallRun, wait_until
from tests.integration.mpi.faults import start_training, state_of
from tests.integration.mpi.test_resume import ranks_of

TORCHRUN = ("launch.launcher=torchrun", "launch.comm=auto")
LONG = (*TORCHRUN, "train.epochs=500")


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
