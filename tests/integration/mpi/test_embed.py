"""`hpctrain embed` under mpirun: two ranks write one store, and go on with what is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from hpctrain.embed.command import embed
from hpctrain.embed.options import Options
from hpctrain.embed.store import Store
from hpctrain.render.script import rank_script
from tests.jobs import mantle
from tests.requires import requires
from tests.unit.embed.run import make_run

COUNT = 23


@requires(mpi=True)
def test_two_ranks__write_what_one_does(tmp_path: Path) -> None:
    run = make_run(tmp_path, COUNT)
    resolved = mantle()
    (run / "rank.sh").write_text(rank_script(resolved.job, resolved.site))
    command = ["mpirun", "--oversubscribe", "-n", "2", sys.executable, "-m", "hpctrain"]
    done = subprocess.run(
        [*command, "embed", str(run), "--batch-size", "3", "--thumbs", "9"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("23 pairs in") == 1
    # each rank had its part
    assert "[rank 0/2" in done.stderr, done.stderr
    assert "[rank 1/2" in done.stderr, done.stderr
    both = Store.open(run / "embeddings" / "state_1")
    embed(run, Options(out=tmp_path / "one", batch_size=5, thumbs=9))
    one = Store.open(tmp_path / "one")
    for name in ("rgb", "ir"):
        np.testing.assert_allclose(both.branch(name)[:], one.branch(name)[:], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(both.thumbs(name), one.thumbs(name))
