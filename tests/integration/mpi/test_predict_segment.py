"""`hpctrain predict` over a segment: two ranks write what one does, also after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.requires import requires
from tests.runs import SmallRun
from tests.unit.data.scroll.builders import write_fragment
from tests.unit.predict.segment.made import files_in, grey, page_of, save_checkpoint

pytestmark = pytest.mark.slow

CODE = """
import os, signal, sys
from hpctrain.predict.segment.parts import Parts
real = Parts.save
def save(self, number, values):
    if number in (1, 6):
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, number, values)
if os.environ.get("KILLED"):
    Parts.save = save
from hpctrain.cli import main
main(sys.argv[1:])
"""
"""The command, of which the process that is about to keep some band ends."""
SHAPE = (9, 70, 60)


def predict(run: Path, out: Path, ranks: int = 1, **env: str) -> subprocess.CompletedProcess[str]:
    launcher = ["mpirun", "--oversubscribe", "-n", str(ranks), "/bin/sh", str(run / "rank.sh")]
    command = [sys.executable, "-c", CODE, "predict", str(run), "--out", str(out), "--flips"]
    return subprocess.run(
        [*(launcher if ranks > 1 else []), *command],
        cwd=run.parents[1],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        timeout=120,
    )


@requires(mpi=True)
def test_predict__segment_is_the_same_on_two_ranks_and_after_a_kill(tmp_path: Path) -> None:
    write_fragment(tmp_path / "data" / "1", grey(shape=SHAPE))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(page_of(tmp_path), sort_keys=False))
    run = SmallRun(tmp_path).render("ink")
    save_checkpoint(run)
    before = files_in(run)

    one = predict(run, tmp_path / "one")
    assert one.returncode == 0, one.stderr
    expected = files_in(tmp_path / "one")
    assert {"1.png", "1.tif", "1.json", "1-figure.png", "1.zarr/zarr.json"} <= expected.keys()

    killed = predict(run, tmp_path / "two", ranks=2, KILLED="1")
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
    assert files_in(run) == before
