"""A host's MPICH in the place of an image's: `abi: bind` with real images, launchers and ranks.

The image has MPICH 4.1, as those for Cray machines have, and the host has 5.0: two files of one
name, `libmpi.so.12`. Outside of images the same is tried in tests/integration/mpi/test_swap.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.container.boxes import ENVIRONMENT, HYDRA, OPENMPI, site, start
from tests.integration.container.test_mismatch import findings, refused, settings
from tests.requires import MPICH, find_mpirun, requires
from tests.runs import SmallRun, make_small

pytestmark = [requires(mpich=True, mpich4=True, apptainer=True), pytest.mark.slow]
HOST = MPICH.parents[1]
IN_IMAGE = "/opt/mpich/lib/libmpi.so.12"
BY_NAME = {"MPI4PY_LIBMPI": "libmpi.so.12"}
BIND = {
    "mpi": "mpich",
    "abi": "bind",
    "library_path": [f"{HOST}/lib"],
    "binds": [*ENVIRONMENT, str(HOST)],
    "env": BY_NAME,
}
OWN = {"mpi": "mpich", "binds": [*ENVIRONMENT, str(HOST)], "env": BY_NAME}
"""The same image and launcher, with the MPI that the image has."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_small(tmp_path_factory.mktemp("small"))


def asking(small: SmallRun, place: str, image: Path, *more: str) -> Path:
    """A run whose ranks only ask which MPI they have got, by the image's own Python."""
    own = ("launch.comm=mpi", "train.adversary=null", f"container.image={image}")
    run = small.render(small.unique("ask"), place, "launch.python=python3", *own, *more)
    script = run / ("run.slurm" if (run / "run.slurm").exists() else "run.sh")
    text = script.read_text()
    assert 'python3 -m hpctrain.train "$run"' in text
    script.write_text(
        text.replace('python3 -m hpctrain.train "$run"', 'python3 -S "$run/ask.py" "$run"')
    )
    shutil.copy(Path(__file__).with_name("ask.py"), run)
    return run


def asked(run: Path, said: str) -> list[dict[str, Any]]:
    """What two ranks found."""
    pages = [run / f"asked-{rank}" for rank in range(2)]
    assert all(page.exists() for page in pages), said
    return [json.loads(page.read_text()) for page in pages]


def assert_two(found: list[dict[str, Any]], image: Path, version: str, library: str) -> None:
    assert {one["image"] for one in found} == {str(image)}
    assert [one["rank"] for one in found] == [0, 1]
    assert [one["size"] for one in found] == [2, 2]
    assert [one["sums"] for one in found] == [[3], [3]]
    assert {one["version"] for one in found} == {version}
    assert {tuple(one["libraries"]) for one in found} == {(library,)}


def test_swap__ranks_in_the_image_use_the_hosts_library(small, mpich_folder):
    run = asking(small, site(small, "bind", BIND, launcher=HYDRA), mpich_folder)
    code, said = start(run, seconds=90)
    assert code == 0, said
    assert_two(asked(run, said), mpich_folder, "5.0.2", f"{HOST}/lib/libmpi.so.12")


def test_swap__without_it_they_use_the_images(small, mpich_folder):
    run = asking(small, site(small, "own", OWN, launcher=HYDRA), mpich_folder)
    code, said = start(run, seconds=90)
    assert code == 0, said
    assert_two(asked(run, said), mpich_folder, "4.1.3", IN_IMAGE)


def test_swap__trains_and_is_found_to_fit(small, mpich_image):
    """From a file: what mounts it outlives ranks that Hydra kills, and Hydra waits for it."""
    place = site(small, "trains", BIND, launcher=HYDRA)
    run = small.render(small.unique("bind"), place, *settings(mpich_image, "launch.comm=mpi"))
    assert not [line for line in findings(small, run) if line.startswith("error")]
    code, said = start(run, seconds=90)
    assert code == 0, said
    assert "2 ranks on 1 node, mpi, cpu" in said


def test_swap__that_does_not_happen_is_told_before(small, mpich_image):
    """A wrong folder: ranks would start, on the image's MPI, which knows no Cray's network."""
    box = {**BIND, "library_path": [f"{HOST}/bin"]}
    place = site(small, "wrong", box, launcher=HYDRA)
    run = asking(small, place, mpich_image)
    lines = findings(small, run)
    words = f"leads to {IN_IMAGE}, the image's own, and not to the host's"
    assert [line for line in lines if line.startswith("error") and words in line], lines


@requires(slurm=True)
def test_swap__under_srun_over_two_nodes(small, mpich_image, cluster):
    """As on Frontier and Perlmutter: srun starts images, and its PMI-2 is the host's MPI's."""
    launcher = {"kind": "srun", "args": ["--mpi=pmi2"]}
    place = site(small, "srun", BIND, scheduler="slurm", launcher=launcher)
    run = asking(small, place, mpich_image, *cluster.two_ranks)
    job = cluster.wait(cluster.submit(run / "run.slurm"), seconds=180)
    said = "".join(path.read_text() for path in sorted((run / "logs").glob("*.out")))
    assert job["ExitCode"] == "0:0", said
    assert_two(asked(run, said), mpich_image, "5.0.2", f"{HOST}/lib/libmpi.so.12")


@requires(mpi=True)
def test_swap__open_mpi_cannot_take_the_place(small, mpich_image):
    """Another name and another ABI: the image's MPICH stays, and is alone under mpirun."""
    mpirun = Path(find_mpirun() or "")
    folder = str(mpirun.parents[1] / "lib")
    box = {**BIND, "mpi": "openmpi", "library_path": [folder]}
    place = site(small, "other", box, launcher={**OPENMPI, "command": str(mpirun)})
    run = small.render(small.unique("other"), place, *settings(mpich_image, "launch.comm=mpi"))
    lines = findings(small, run)
    words = "it asks for libmpi.so.12, and the host's MPI is libmpi.so.40"
    assert [line for line in lines if line.startswith("error") and words in line], lines
    assert "was not started by this launcher" in refused(run)
