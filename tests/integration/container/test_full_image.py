"""The whole image from the rendered definition: built by an ordinary user, tested, trained in.

The first run builds it, some minutes; later ones take the layers from the user's cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hpctrain.container import versions
from tests.e2e.commands import hpctrain, state
from tests.integration.container.user import User
from tests.integration.slurm.cluster import Cluster, start_cluster
from tests.integration.slurm.jobs import finish
from tests.integration.slurm.test_shipped import SMOKE, SUPER_RESOLUTION, sample_mantle
from tests.jobs import REPO
from tests.requires import find_mpirun, requires
from tests.runs import newest

pytestmark = [requires(apptainer=True), pytest.mark.timeout(4000)]
SITE = """name: {name}
title: a Slurm cluster whose ranks start in an image
scheduler: slurm
launcher: {launcher}
mask_variable: CUDA_VISIBLE_DEVICES
container:
  mpi: openmpi
  args: ["--userns"]  # the tests' jobs are root's, whose engine has not all rights here
"""
FEW = ("data.crop=[8, 8, 16]", "launch.comm=horovod")
LAUNCHERS = {
    # the image has Open MPI 4, which does not know the daemons of 5
    "mpirun": f"{{kind: openmpi, command: {find_mpirun(4)}}}",
    "srun": "{kind: srun, args: ['--mpi=pmix']}",
}


def test_full_image__says_what_is_in_it(full_image: Path, user: User) -> None:
    done = user.run("apptainer", "inspect", "--labels", "--json", full_image)
    labels = json.loads(done.stdout)["data"]["attributes"]["labels"]
    ours = {name: value for name, value in labels.items() if name.startswith("hpctrain.")}
    assert ours.pop("hpctrain.torch").startswith(versions()["python"]["torch"])
    assert ours.pop("hpctrain.version")
    assert ours == {
        "hpctrain.device": "cpu",
        "hpctrain.mpi": "openmpi:4.1.4",
        "hpctrain.mpi.soname": "libmpi.so.40",
        "hpctrain.pmi": "pmix",
        "hpctrain.pmix": "4.2.2",
        "hpctrain.horovod": versions()["horovod"],
        "hpctrain.glibc": "2.36",
    }


def test_full_image__passes_its_test(full_image: Path, user: User) -> None:
    done = user.run("apptainer", "test", full_image)
    assert done.returncode == 0, done.stderr
    assert "two ranks: allreduce passed" in done.stdout
    assert f"horovod {versions()['horovod']}" in done.stdout


def test_full_image__has_what_was_pinned(full_image: Path, user: User) -> None:
    done = user.run("apptainer", "exec", full_image, "python3", "-m", "pip", "freeze")
    found = dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)
    for name, pin in versions()["python"].items():
        assert found[name].partition("+")[0] == pin, name


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with start_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def mantle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped job, sample data, and a site for each launcher."""
    folder = tmp_path_factory.mktemp("mantle")
    sample_mantle(folder)
    (folder / "mantle.yaml").write_text((REPO / "jobs" / "mantle.yaml").read_text())
    sites = {**LAUNCHERS, "outside": "{kind: openmpi}"}
    for name, launcher in sites.items():
        (folder / f"{name}.yaml").write_text(SITE.format(name=name, launcher=launcher))
    return folder


def trained(cluster: Cluster, folder: Path, site: str, name: str, *settings: str) -> Path:
    """A smoke-sized run of two ranks that went to its end."""
    own = (*cluster.two_ranks, *SMOKE, *SUPER_RESOLUTION, *FEW, *settings)
    options = [word for setting in own for word in ("--set", setting)]
    words = ("render", "mantle.yaml", "--site", f"{site}.yaml", "--as", name, *options)
    done = hpctrain(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    run = folder / "jobs" / name
    assert f"{cluster.where}, horovod, cpu" in finish(cluster, run)
    assert state(run)["status"] == "finished"
    return run


@pytest.fixture(scope="module")
def outside(cluster: Cluster, mantle: Path) -> dict[str, torch.Tensor]:
    """Parameters after the same training with this machine's own Python, MPI and Horovod."""
    return newest(trained(cluster, mantle, "outside", "outside"))


@requires(slurm=True, mpi=True, openmpi4=True, horovod=True)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_mantle__learns_the_same_inside_over_two_nodes(
    cluster: Cluster,
    mantle: Path,
    outside: dict[str, torch.Tensor],
    full_image: Path,
    launcher: str,
) -> None:
    image = f"container.image={full_image}"
    run = trained(cluster, mantle, launcher, f"inside-{launcher}", image)
    inside = newest(run)
    assert inside.keys() == outside.keys()
    differing = [name for name in inside if not torch.equal(inside[name], outside[name])]
    assert not differing, "the same code, torch and number of ranks give other parameters"
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["launches"][-1]["container"]["image"] == str(full_image)
