"""The test cluster itself: two nodes come up, run jobs, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.slurm.cluster import Cluster, start_cluster
from tests.requires import requires
from tests.runs import wait_until

pytestmark = requires(slurm=True)

HELLO = """#!/bin/sh
#SBATCH --nodes=2 --ntasks-per-node=1 --gpus-per-node=4
srun sh -c 'echo "$SLURMD_NODENAME $SLURM_PROCID $CUDA_VISIBLE_DEVICES"' >"$1" 2>&1
"""
BROKEN = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.integration.slurm.cluster import start_cluster
with start_cluster() as cluster:
    print(cluster.env["SLURM_CONF"], flush=True)
    time.sleep(60)
"""


def test_cluster__both_nodes_run_a_job(cluster: Cluster, tmp_path: Path) -> None:
    assert_says_hello(cluster, tmp_path)


def test_cluster__without_network_namespaces(tmp_path: Path) -> None:
    with start_cluster("multi") as plain:
        folder = Path(plain.env["SLURM_CONF"]).parent
        assert_says_hello(plain, tmp_path)
        plain.submit(sleeper(tmp_path))
    assert_nothing_left(folder)


def test_cluster__ends_with_a_killed_pytest(tmp_path: Path) -> None:
    links = interfaces()
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", BROKEN, str(root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    conf = process.stdout.readline().strip()
    environment = {**os.environ, "SLURM_CONF": conf}
    subprocess.run(["sbatch", sleeper(tmp_path)], env=environment, check=True, capture_output=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert_nothing_left(Path(conf).parent)
    wait_until(lambda: interfaces() <= links, 10)


def sleeper(folder: Path) -> Path:
    path = folder / "sleeper.sh"
    path.write_text("#!/bin/sh\nsrun sleep 300\n")
    return path


def assert_says_hello(cluster: Cluster, folder: Path) -> None:
    (folder / "hello.sh").write_text(HELLO)
    job_id = cluster.run(
        "sbatch", "--parsable", "--output", folder / "out", folder / "hello.sh", folder / "said"
    ).stdout.strip()
    assert cluster.wait(job_id)["JobState"] == "COMPLETED"
    said = (folder / "said").read_text().splitlines()
    assert sorted(said) == ["ht01 0 0,1,2,3", "ht02 1 0,1,2,3"]


def assert_nothing_left(folder: Path) -> None:
    """No file and no process that knows the cluster."""
    wait_until(lambda: not folder.exists(), 30)
    wait_until(lambda: not processes_with(str(folder)), 10)


def processes_with(text: str) -> list[str]:
    """Processes that have this in their command or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                read = [(entry / name).read_bytes() for name in ("cmdline", "environ")]
            except OSError:
                continue
            if any(text.encode() in part for part in read):
                found.append(entry.name)
    return found


def interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}
