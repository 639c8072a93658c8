"""The test cluster as Python sees it: an environment, and what its queue says."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.requires import BIN

SCRIPT = Path(__file__).with_name("cluster.sh")
START_TIMEOUT_S = 60
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")


class Cluster:
    """A running cluster.

    Attributes:
        mode: `netns` (each node has a network of its own) or `multi`.
        env: environment in which `sbatch`, `squeue` and `hpctrain` reach it.
    """

    def __init__(self, mode: str, conf: str) -> None:
        self.mode = mode
        self.env = {**_login_environment(), "SLURM_CONF": conf}
        if mode == "multi":
            # both nodes have one name, and Open MPI would look for shared memory between them
            self.env["OMPI_MCA_btl"] = "tcp,self"

    @property
    def two_ranks(self) -> tuple[str, ...]:
        """Settings of a job of two ranks, on two nodes where these have names of their own.

        Where all nodes have one name, the trainer rightly refuses to believe that there are two.
        """
        nodes, ranks = (2, 1) if self.mode == "netns" else (1, 2)
        return (f"resources.nodes={nodes}", f"resources.ranks_per_node={ranks}")

    @property
    def where(self) -> str:
        """How the trainer tells of these two ranks."""
        return "2 ranks on 2 nodes" if self.mode == "netns" else "2 ranks on 1 node"

    def run(self, *words: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command from a login node."""
        command = [str(word) for word in words]
        return subprocess.run(
            command, env=self.env, cwd="/", capture_output=True, text=True, timeout=timeout
        )

    def submit(self, script: str | Path, *options: str) -> str:
        """Hand in a script; returns the job id."""
        done = self.run("sbatch", "--parsable", *options, script)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def job(self, job_id: str) -> dict[str, str]:
        """What `scontrol show job` knows; the words after blanks in values are lost."""
        done = self.run("scontrol", "--oneliner", "show", "job", job_id)
        assert done.returncode == 0, done.stderr
        return dict(re.findall(r"(\S+?)=(\S*)", done.stdout))

    def state(self, job_id: str) -> str:
        """PENDING, RUNNING, COMPLETED, ..."""
        return self.job(job_id)["JobState"]

    def wait(self, job_id: str, *states: str, seconds: float = 120) -> dict[str, str]:
        """Wait until a job is in one of the states (default: it ended); returns what is known."""
        end = time.monotonic() + seconds
        while (job := self.job(job_id))["JobState"] not in (states or ENDED):
            assert time.monotonic() < end, f"job {job_id} is still {job['JobState']}: {job}"
            time.sleep(0.3)
        return job


def _login_environment() -> dict[str, str]:
    """Neither ranks nor another cluster, and this environment's programs."""
    foreign = ("HPCTRAIN_", "OMPI_", "PMIX_", "PRTE_", "SLURM_", "PBS_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    path = os.pathsep.join([str(BIN), kept.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return {**kept, "PATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@contextlib.contextmanager
def start_cluster(mode: str = "auto") -> Iterator[Cluster]:
    """Bring a cluster up; it ends when its standard input closes, whatever happens to pytest."""
    process = subprocess.Popen(
        [str(SCRIPT), mode],
        env=_login_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C comes to pytest alone
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    try:
        ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
        words = process.stdout.readline().split() if ready else []
        if len(words) != 2:
            process.stdin.close()
            raise RuntimeError(f"the test cluster did not come up: {process.stderr.read()}")
        yield Cluster(*words)
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()
        process.stderr.close()
