"""Images whose MPI does not fit: found before submission, and refused at the start.

Each is one that users report: N trainings that all believe to be alone, on the same GPU, into the
same files. What is asked for is an exit code, one sentence, and no training.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.commands import hpctrain
from tests.integration.container.boxes import ENVIRONMENT, HYDRA, site, start
from tests.requires import MPICH, find_mpirun, requires
from tests.runs import SmallRun, make_small

pytestmark = [requires(mpi=True, apptainer=True), pytest.mark.slow]
SYSTEM = "/usr/lib/x86_64-linux-gnu"
IMAGES_OWN = {"LD_LIBRARY_PATH": SYSTEM, "MPI4PY_LIBMPI": f"{SYSTEM}/libmpi.so.40"}
"""This Python, bound into the image, takes the image's Open MPI, and not its own."""
WITH_MPICH = {"MPI4PY_LIBMPI": str(MPICH.parents[1] / "lib" / "libmpi.so.12")}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_small(tmp_path_factory.mktemp("small"))


def container(**more: object) -> dict[str, object]:
    return {"binds": ENVIRONMENT, **more}


def settings(image: Path, *more: str) -> tuple[str, ...]:
    python = f"launch.python={sys.executable}"
    return (f"container.image={image}", python, "train.adversary=null", *more)


def findings(small: SmallRun, run: Path) -> list[str]:
    """What `hpctrain check` says of a run, and its exit code."""
    done = hpctrain("check", str(run), cwd=small.folder)
    lines = done.stdout.splitlines()
    assert done.returncode == (2 if any(line.startswith("error") for line in lines) else 0), done
    return lines


def refused(run: Path) -> str:
    """Starts a run that must be refused; returns the one sentence that says why."""
    code, said = start(run)
    assert code == 5, said
    assert "first step done" not in said
    assert not list(run.glob("checkpoints/*")), said
    state = json.loads((run / "state.json").read_text())
    assert state["status"] == "failed", said
    assert state["exit_code"] == 5
    told = [line for line in said.splitlines() if state["message"].partition("] ")[2] in line]
    assert len(told) == 1, said
    return state["message"]


@requires(mpich=True)
def test_open_mpi_in_the_image__started_by_hydra(small: SmallRun, base_folder: Path) -> None:
    """schedulers: Horovod in Singularity under another MPI's launcher; PMI variables are there."""
    place = site(small, "hydra", container(mpi="mpich", env=IMAGES_OWN), launcher=HYDRA)
    run = small.render(small.unique("hydra"), place, *settings(base_folder, "launch.comm=mpi"))
    lines = findings(small, run)
    alone = "its MPI starts by pmix, and hydra offers pmi1 or pmi2: every rank would be rank 0 of 1"
    assert [line for line in lines if line.startswith("error") and alone in line], lines
    assert [line for line in lines if "holds Open MPI 4.1.4, and site hydra has MPI" in line], lines
    assert "was not started by this launcher" in refused(run)


@requires(mpich=True, horovod=True)
def test_horovod__started_by_hydra(small: SmallRun, base_folder: Path) -> None:
    """Horovod takes OMPI_* for granted; under pmi1 and pmi2 every rank was rank 0 of 1."""
    place = site(small, "hydra-hvd", container(mpi="mpich", env=IMAGES_OWN), launcher=HYDRA)
    run = small.render(small.unique("hydra"), place, *settings(base_folder, "launch.comm=horovod"))
    assert "the MPI of Horovod believes to be alone" in refused(run)


@requires(mpich=True)
def test_mpich_in_the_image__started_by_open_mpi(small: SmallRun, base_image: Path) -> None:
    binds = [*ENVIRONMENT, str(MPICH.parents[1])]
    place = site(small, "mpich", {"binds": binds, "env": WITH_MPICH})
    run = small.render(small.unique("mpich"), place, *settings(base_image, "launch.comm=mpi"))
    lines = findings(small, run)
    alone = "every rank would be rank 0 of 1"
    assert [line for line in lines if line.startswith("error") and alone in line], lines
    assert [line for line in lines if "holds MPICH 5.0.2, and site mpich has MPI" in line], lines
    assert "was not started by this launcher" in refused(run)


@requires(openmpi5=True)
def test_open_mpi_4_in_the_image__started_by_open_mpi_5(small: SmallRun, base_image: Path) -> None:
    """Their daemons speak different PMIx."""
    launcher = {"kind": "openmpi", "command": find_mpirun(5), "oversubscribe": True}
    place = site(small, "newer", container(env=IMAGES_OWN), launcher=launcher)
    run = small.render(small.unique("newer"), place, *settings(base_image, "launch.comm=mpi"))
    lines = findings(small, run)
    assert [line for line in lines if "which does not know the daemons of" in line], lines
    assert "believes to be alone" in refused(run)


@requires(openmpi4=True)
def test_open_mpi_4_in_the_image__started_by_open_mpi_4_fits(
    small: SmallRun, base_image: Path
) -> None:
    launcher = {"kind": "openmpi", "command": find_mpirun(4), "oversubscribe": True}
    place = site(small, "same", container(env=IMAGES_OWN), launcher=launcher)
    run = small.render(small.unique("same"), place, *settings(base_image, "launch.comm=mpi"))
    assert not [line for line in findings(small, run) if line.startswith("error")]
    code, said = start(run)
    assert code == 0, said
    assert "2 ranks on 1 node, mpi, cpu" in said


def test_local_rank__always_0(small: SmallRun, base_folder: Path, tmp_path: Path) -> None:
    """An image that sets the launcher's variables for itself."""
    own = tmp_path / "90-environment.sh"
    own.write_text("export HPCTRAIN_LOCAL_RANK=0 LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_RANK=0\n")
    bind = f"{own}:/.singularity.d/env/90-environment.sh"
    place = site(small, "zero", {"binds": [*ENVIRONMENT, bind]})
    run = small.render(small.unique("zero"), place, *settings(base_folder, "launch.comm=ddp"))
    assert "all have local rank 0, and would take the same device" in refused(run)
