"""What starts the ranks of a Slurm job, and how they end together."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.slurm.cluster import Cluster
from tests.integration.slurm.jobs import (
    ENDLESS,
    finish,
    has_begun,
    log,
    processes_of,
    render,
    state,
)
from tests.requires import requires
from tests.runs import SmallRun, slow, wait_until

pytestmark = requires(slurm=True)

WAYS = [
    pytest.param(("generic-slurm", "horovod"), id="mpirun", marks=requires(horovod=True, mpi=True)),
    # Horovod wants a PMI of Slurm, and Debian's has none that loads
    pytest.param(("srun.yaml", "ddp"), id="srun"),
]


def start(cluster: Cluster, small: SmallRun, way: tuple[str, str]) -> tuple[Path, str]:
    """An endless training over two nodes that has made its first steps, and its job."""
    site, comm = way
    run = render(small, *cluster.two_ranks, f"launch.comm={comm}", *ENDLESS, *slow(0.05), site=site)
    job_id = cluster.submit(run / "run.slurm")
    wait_until(lambda: has_begun(run, 3), 60)
    return run, job_id


def test_srun__runs_over_two_nodes(cluster: Cluster, small: SmallRun) -> None:
    run = render(small, *cluster.two_ranks, "launch.comm=ddp", site="srun.yaml")
    assert f"{cluster.where}, ddp, cpu" in finish(cluster, run)
    assert state(run)["status"] == "finished"


@pytest.mark.parametrize("way", WAYS)
def test_killed_rank__ends_the_whole_job(
    cluster: Cluster, small: SmallRun, way: tuple[str, str]
) -> None:
    run, job_id = start(cluster, small, way)
    began = time.monotonic()
    os.kill(processes_of(run)["rank 1"], signal.SIGKILL)
    job = cluster.wait(job_id)
    assert job["JobState"] == "FAILED"
    assert time.monotonic() - began < 60
    wait_until(lambda: not processes_of(run), 10)
    assert state(run)["status"] == "failed", log(run)


@pytest.mark.parametrize("way", WAYS)
def test_warning__saves_and_leaves_with_75(
    cluster: Cluster, small: SmallRun, way: tuple[str, str]
) -> None:
    run, job_id = start(cluster, small, way)
    cluster.run("scancel", "--signal=USR1", "--batch", job_id)
    job = cluster.wait(job_id)
    assert job["ExitCode"] == "75:0", log(run)
    found = state(run)
    assert (found["status"], found["saved_step"]) == ("stopped", found["global_step"])
    assert not processes_of(run)
