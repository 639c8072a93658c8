"""The three ways of a sweep into the queue, on a real Slurm."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.e2e.commands import hpctrain
from tests.integration.slurm.cluster import Cluster
from tests.integration.slurm.jobs import render, state
from tests.requires import requires
from tests.runs import SmallRun, wait_until

pytestmark = requires(slurm=True, mpi=True, horovod=True)

RATES = (0.001, 0.002)


@pytest.fixture(scope="module")
def sweeps(cluster: Cluster, small: SmallRun) -> dict[str, Path]:
    """A sweep of each kind, all in the queue; each point takes two ranks of one node."""
    found = {}
    for how in ("array", "throttled", "ensemble"):
        grid = f"{{train.optimizer.learning_rate: {list(RATES)}}}"
        run = render(small, f"sweep={{grid: {grid}, how: {how}, max_running: 2}}", name=how)
        done = hpctrain("submit", str(run), cwd=small.folder, env=cluster.env)
        assert done.returncode == 0, done.stderr
        found[how] = run
    return found


@pytest.mark.parametrize("how", ["array", "throttled", "ensemble"])
def test_sweep__every_point_finishes(
    cluster: Cluster, small: SmallRun, sweeps: dict[str, Path], how: str
) -> None:
    points = [sweeps[how] / "points" / f"00{n}" for n in range(2)]
    wait_until(lambda: all(state(point)["status"] in ("finished", "failed") for point in points))
    assert [state(point)["status"] for point in points] == ["finished"] * 2
    assert {state(point)["world_size"] for point in points} == {2}
    if how == "ensemble" and cluster.mode == "netns":
        assert {state(point)["host"] for point in points} == {"ht01", "ht02"}
    done = hpctrain("table", "--csv", str(sweeps[how]), cwd=small.folder)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [float(row["train.optimizer.learning_rate"]) for row in rows] == list(RATES)
