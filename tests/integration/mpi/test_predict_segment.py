"""`hpctrain predict` over a segment: two ranks write what one does, also after they were ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.requires import requires
from tests.runs import SmallRun
from tests.unit.data.scroll.builders import write_fragment
from tests.unit.predict.segment.made import files_in, grey, page_of, save_checkpoint

pytestmark = pytest.mark.slow

CODE = """
import os, pathlib, signal, sys, time
from hpctrain.predict.segment.parts import Parts
save, fsync, ends = Parts.save, os.fsync, os.environ.get("ENDS")
def ending_save(self, number, values):
    if number in (1, 6) and ends == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif number in (1, 6):
        os.fsync = waiting_fsync
    save(self, number, values)
def waiting_fsync(number):  # a band is half written
    pathlib.Path(ends, os.environ["HPCTRAIN_RANK"]).touch()
    time.sleep(60)
if ends:
    Parts.save = ending_save
from hpctrain.cli import main
main(sys.argv[1:])
"""
"""The command, of which the process that is about to keep some band ends."""
SHAPE = (9, 70, 60)


def words(run: Path, out: Path, ranks: int) -> list[str]:
    launcher = ["mpirun", "--oversubscribe", "-n", str(ranks), "/bin/sh", str(run / "rank.sh")]
    command = [sys.executable, "-c", CODE, "predict", str(run), "--out", str(out), "--flips"]
    return [*(launcher if ranks > 1 else []), *command]


def terminate(run: Path, out: Path, marks: Path) -> None:
    """SIGTERM to mpirun, while both ranks write a band."""
    marks.mkdir()
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ENDS": str(marks)}
    launched = subprocess.Popen(words(run, out, 2), cwd=run.parents[1], env=env)
    end = time.monotonic() + 120
    while len(list(marks.iterdir())) < 2:
        assert launched.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    launched.terminate()
    assert launched.wait(60) != 0


def predict(run: Path, out: Path, ranks: int = 1, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(run, out, ranks),
        cwd=run.parents[1],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        timeout=120,
    )


@requires(mpi=True)
def test_predict__segment_is_the_same_on_two_ranks_and_after_their_end(tmp_path: Path) -> None:
    write_fragment(tmp_path / "data" / "1", grey(shape=SHAPE))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(page_of(tmp_path), sort_keys=False))
    run = SmallRun(tmp_path).render("ink")
    save_checkpoint(run)
    before = files_in(run)

    one = predict(run, tmp_path / "one")
    assert one.returncode == 0, one.stderr
    expected = files_in(tmp_path / "one")
    assert {"1.png", "1.tif", "1.json", "1-figure.png", "1.zarr/zarr.json"} <= expected.keys()

    killed = predict(run, tmp_path / "two", ranks=2, ENDS="killed")
    assert killed.returncode != 0
    left = {p.name for p in (tmp_path / "two" / ".1.parts").glob("band_*")}
    # the second rank begins with band 4
    assert left <= {f"band_{n:06d}.f4" for n in (0, 4, 5)}
    assert left
    assert [p.name for p in (tmp_path / "two").iterdir()] == [".1.parts"]

    again = predict(run, tmp_path / "two", ranks=2)
    assert again.returncode == 0, again.stderr
    assert f"{len(left)} of 9 bands of rows are there already" in again.stderr
    assert "[rank 1/2" not in again.stderr
    assert again.stdout.count("wrote ") == 5
    assert files_in(tmp_path / "two") == expected

    terminate(run, tmp_path / "three", tmp_path / "marks")
    assert [p.name for p in (tmp_path / "three").iterdir()] == [".1.parts"]
    left = {p.name for p in (tmp_path / "three" / ".1.parts").iterdir()}
    assert left == {"plan.json", "lock", *(f"band_{n:06d}.f4" for n in (0, 4, 5))}
    again = predict(run, tmp_path / "three")
    assert again.returncode == 0, again.stderr
    assert "3 of 9 bands of rows are there already" in again.stderr
    assert files_in(tmp_path / "three") == expected
    assert files_in(run) == before
