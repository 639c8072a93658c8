"""Ranks that leave one after the other under Hydra, which kills all where one seems to crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requires import MPICH, requires

pytestmark = requires(mpich=True)
RANK = """
import sys, time
from pathlib import Path
from hpctrain.comm import Ranks
from hpctrain.comm.control import open_control
from hpctrain.train.faults.leaving import leave_at_once
rank, place = int(sys.argv[1]), Path(sys.argv[2])
control = open_control(Ranks(rank, 2, rank, 2, 'here'))
assert control.allgather(rank) == [0, 1]
if len(sys.argv) > 3 and rank == 0:
    leave_at_once(int(sys.argv[3]))
control.close()
if rank == 1:
    time.sleep(1.5)
    place.write_text("left in order")
leave_at_once(0)
"""


def start(place: Path, *code: str) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-c", 'exec "$0" -c "$1" "$PMI_RANK" "$2" $3', sys.executable, RANK, str(place)]
    libraries = {"LD_LIBRARY_PATH": str(MPICH.parents[1] / "lib"), "MPI4PY_LIBMPI": "libmpi.so.12"}
    return subprocess.run(
        [str(MPICH), "-n", "2", *words, *code],
        env={**os.environ, **libraries},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_leaving__the_last_rank_is_not_killed_as_the_first_one_ends(tmp_path: Path) -> None:
    done = start(tmp_path / "last")
    assert done.returncode == 0, done
    assert (tmp_path / "last").read_text() == "left in order"


@pytest.mark.parametrize("code", ["0", "6"])
def test_leaving__without_a_word_is_a_crash(tmp_path: Path, code: str) -> None:
    done = start(tmp_path / "last", code)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "last").exists(), done
