"""Ranks that do not come, libraries that do not end: real processes, with short limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.mpi.conftest import SmallRun
from tests.integration.mpi.test_proof import (
    as_srun,
    clean,
    finish,
    mpirun,
    rank_words,
    start,
    state,
)
from tests.requires import requires

LEAVES = """
import atexit, os, sys, time
from hpctrain.comm import single
from hpctrain.train import __main__
atexit.register(lambda: print("taken down in order"))
{body}
__main__.main(sys.argv[1:])
"""
START = """from hpctrain.train.faults import leaving
leaving._START_S, leaving._LOCKED_S = 4.0, 1.0"""
LATE = f"""{START}
if os.environ["HPCTRAIN_RANK"] == "1":
    time.sleep(60)"""
HANGS = """from hpctrain.train.faults import leaving
leaving._END_S = 1.0
single.SingleCommunicator.close = lambda _: time.sleep(60)"""
RAISES = """def close(_):
    raise RuntimeError("no network")
single.SingleCommunicator.close = close"""
ALONE = ("launch.comm=single", "resources.ranks_per_node=1")


def test_start__a_rank_that_never_comes(small: SmallRun) -> None:
    run = small.render(small.unique("late"), "launch.comm=ddp")
    words = rank_words(run, "-c", LEAVES.format(body=START))
    codes, text = finish([start(run, *words, **as_srun(0))])
    assert codes == [5], text
    assert "has waited 4 s to open launch.comm: ddp, as some rank did not come" in text
    assert state(run)["exit_code"] == 5


@requires(mpi=True)
def test_start__a_rank_that_never_comes_to_an_mpi_that_holds_pythons_lock(small: SmallRun) -> None:
    run = small.render(small.unique("late"), "launch.comm=mpi")
    words = rank_words(run, "-c", LEAVES.format(body=LATE))
    code, text = mpirun(run, words, words)
    assert code != 0
    assert "Timeout (0:00:05)!" in text
    assert "in open_mpi" in text


def alone(run: Path, body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LEAVES.format(body=body), str(run)],
        env=clean(run),
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (HANGS, "launch.comm did not end within 1 s; all is saved, leaving"),
        (RAISES, "launch.comm did not end in order (no network); all is saved"),
    ],
)
def test_end__what_is_saved_stands_whatever_the_library_does(
    small: SmallRun, body: str, expected: str
) -> None:
    run = small.render(small.unique("end"), *ALONE)
    done = alone(run, body)
    assert done.returncode == 0, done.stderr
    assert expected in done.stderr
    assert state(run)["status"] == "finished"


@pytest.mark.parametrize(
    ("fault", "code"), [("", 0), ("ranks", 5), ("run directory", 2), ("data", 2)]
)
def test_end__one_rank_is_not_taken_down_under_threads_of_libraries(
    small: SmallRun, tmp_path: Path, fault: str, code: int
) -> None:
    run = small.render(small.unique("end"), *ALONE)
    if fault == "data":
        (run / "index.csv").write_text("")
    body = f"""print("said before")
if "{fault}" == "ranks":
    os.environ["HPCTRAIN_RANK"] = "x" """
    done = alone(tmp_path if fault == "run directory" else run, body)
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith("said before\n")
    assert "taken down in order" not in done.stdout
