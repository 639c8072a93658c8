"""`hpctrain doctor` inside a job: its ranks are on all nodes of it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.integration.slurm.cluster import Cluster
from tests.integration.slurm.jobs import SRUN_SITE
from tests.requires import requires

pytestmark = requires(slurm=True)


def examined(cluster: Cluster, folder: Path, *words: str) -> tuple[str, str]:
    """What the doctor printed inside a job of two nodes, and the job's exit code."""
    command = shlex.join([sys.executable, "-m", "hpctrain", "doctor", *words])
    script = folder / "doctor.slurm"
    script.write_text(
        "#!/bin/bash\n#SBATCH --nodes=2 --ntasks-per-node=1 --time=00:05:00\n"
        f"#SBATCH --output={folder}/out.txt\ncd {folder}\nexec {command}\n"
    )
    job = cluster.wait(cluster.submit(script), seconds=240)
    return (folder / "out.txt").read_text(), job["ExitCode"]


@requires(mpi=True, horovod=True)
def test_doctor__both_nodes_of_the_job(cluster: Cluster, tmp_path: Path) -> None:
    if cluster.mode != "netns":
        pytest.skip("the nodes of this cluster share one name")
    page, code = examined(cluster, tmp_path, "--json", "doctor.json")
    assert code == "0:0", page
    ticket = json.loads((tmp_path / "doctor.json").read_text())
    notes = ticket["facts"]["launch"]["ranks"]
    hosts = {note["host"] for note in notes}
    assert len(notes) == len(hosts) == 2, page
    assert ticket["facts"]["machine"]["job"]["nodes"] == 2
    offsets = ticket["facts"]["clock"]["offsets"]
    assert {one["host"] for one in offsets} == hosts
    # both nodes are namespaces of one machine, which has one clock
    assert all(abs(one["offset_s"]) <= one["error_s"] + 1e-3 for one in offsets)
    (skew,) = [line for line in ticket["lines"] if line["name"] == "skew"]
    assert skew["text"].startswith("2 hosts within ")
    assert "inside slurm job" in page


def test_doctor__srun_whose_pmi_does_not_fit(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "srun.yaml").write_text(SRUN_SITE)
    page, code = examined(cluster, tmp_path, "--site", "srun.yaml", "--json", "doctor.json")
    ticket = json.loads((tmp_path / "doctor.json").read_text())
    errors = [line for line in ticket["lines"] if line["severity"] == "error"]
    pmi = [line for line in errors if line["topic"] == "pmi"]
    assert code == "5:0", page
    assert [line["text"].endswith("Open MPI wants pmix, not none") for line in pmi] == [True], page
    assert any(line["topic"] in ("launch", "world") for line in errors), page
