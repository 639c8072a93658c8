"""`hpctrain doctor` inside a job of the PBS stand-in: real ranks by a real mpirun."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.pbs.conftest import Pbs
from tests.requires import find_mpirun, requires

pytestmark = [requires(mpi=True, horovod=True), pytest.mark.slow]
GIVEN = ("PYTHONPATH", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
TOPICS = ("machine", "mpi", "pmi", "launch", "environment")


def examined(pbs: Pbs, select: str, *words: str, before: str = "") -> tuple[str, dict[str, Any]]:
    """What the doctor printed inside a job, and its ticket."""
    folder = pbs.root / "doctor"
    folder.mkdir()
    given = "".join(f"export {n}={shlex.quote(os.environ[n])}\n" for n in GIVEN if n in os.environ)
    command = shlex.join([sys.executable, "-m", "hpctrain", "doctor", "--json", "d.json", *words])
    job_id = pbs.qsub(
        f"#!/bin/bash\n#PBS -l select={select} -l walltime=00:05:00\n"
        f"#PBS -k doe -j oe -o {folder}/\n{given}{before}\ncd {folder}\n{command}\n"
    )
    code = pbs.wait(job_id, seconds=200)["Exit_status"]
    page = (folder / f"{job_id}.OU").read_text()
    assert code == (5 if "\n  error " in page else 0), page
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    return page, json.loads((folder / "d.json").read_text())


def texts(ticket: dict[str, Any], severity: str) -> list[str]:
    """What it says of what the job decides; limits, disks and clocks are the machine's affair."""
    lines = [line for line in ticket["lines"] if line["topic"] in TOPICS]
    return [line["text"] for line in lines if line["severity"] == severity]


def test_doctor__two_ranks_of_the_job(pbs: Pbs) -> None:
    page, ticket = examined(pbs, "1:ncpus=2:mpiprocs=2")
    assert not [*texts(ticket, "error"), *texts(ticket, "warning")], page
    facts = ticket["facts"]
    # also where the machine has the commands of other schedulers, too
    assert facts["machine"]["site"] == "generic-pbs"
    expected = {"id": "1.fakepbs", "scheduler": "pbs", "nodes": 1, "slots": 2}
    assert facts["machine"]["job"] == expected
    assert "inside pbs job 1.fakepbs of 1 node with room for 2 ranks on each" in page
    ranks = [note["ranks"] for note in facts["launch"]["ranks"]]
    assert sorted(one["rank"] for one in ranks) == [0, 1]
    assert {one["world_size"] for one in ranks} == {2}
    assert facts["allreduce"]["backend"] == "horovod"
    assert facts["environment"]["is_in_job"]


@requires(openmpi5=True)
def test_doctor__shell_without_the_node_file(pbs: Pbs) -> None:
    """Under Open MPI 5: the older one takes no notice of a file that is not there."""
    own = shlex.quote(str(Path(find_mpirun(5) or "").parent))
    before = f'export PATH={own}:"$PATH"\n'
    before += "export PBS_NODEFILE=/nowhere/nodes"  # as in a shell of another node
    page, ticket = examined(pbs, "1:ncpus=1", "--site", "generic-pbs", before=before)
    (warning,) = texts(ticket, "warning")
    assert warning.endswith("taken for granted: PBS_NODEFILE=/nowhere/nodes cannot be read"), page
    (error,) = texts(ticket, "error")
    assert "no rank began" in error
    assert error.endswith("mpirun cannot read which nodes the PBS job has")
    assert "\n1 error (launch), " in page
