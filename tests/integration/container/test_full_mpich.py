"""The whole image with Debian's MPICH: tested, trained in by Hydra, and over two nodes by srun."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hpctrain.container import versions
from tests.e2e.commands import hpctrain, state
from tests.integration.container.boxes import HYDRA, start
from tests.integration.container.login import Login, torch_options
from tests.integration.container.two_nodes import FEW
from tests.integration.container.user import User, unpack
from tests.integration.slurm.cluster import Cluster
from tests.integration.slurm.jobs import finish
from tests.integration.slurm.test_shipped import SMOKE, SUPER_RESOLUTION, sample_mantle
from tests.jobs import REPO
from tests.requires import requires
from tests.runs import newest

pytestmark = [requires(apptainer=True, every_image=True), pytest.mark.timeout(4000)]
SITE = """name: {name}
title: a machine with MPICH
scheduler: {scheduler}
launcher: {launcher}
mask_variable: CUDA_VISIBLE_DEVICES
container:
  mpi: mpich
  one_namespace: true  # Debian's speaks by UCX, which opens what other ranks have in /proc
  args: ["--userns"]  # the tests' jobs are root's, whose engine has not all rights here
"""
SITES = {
    "hydra": ("local", json.dumps(HYDRA)),
    # Slurm's plugin for PMI 2 speaks PMI 1 as well, which is what this MPICH asks for
    "srun": ("slurm", "{kind: srun, args: ['--mpi=pmi2']}"),
}


@pytest.fixture(scope="module")
def image(login: Login, session_tmp: Path) -> Path:
    """The image; its layers are in the user's cache after the first time."""
    image = session_tmp / "mpich.sif"
    words = ("container", "build", "--base", "debian12", "--mpi", "mpich", "--host-pip")
    done = login.hpctrain(
        *words, *torch_options(), "--output", image, cwd=session_tmp, timeout=3600
    )
    assert done.returncode == 0, done.stderr
    assert "two ranks: allreduce passed" in done.stderr
    assert "MPICH Version:" in done.stderr
    return image


@pytest.fixture(scope="module")
def mantle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped job, sample data, and a site for each launcher."""
    folder = tmp_path_factory.mktemp("mantle")
    sample_mantle(folder)
    (folder / "mantle.yaml").write_text((REPO / "jobs" / "mantle.yaml").read_text())
    for name, (scheduler, launcher) in SITES.items():
        text = SITE.format(name=name, scheduler=scheduler, launcher=launcher)
        (folder / f"{name}.yaml").write_text(text)
    return folder


def render(folder: Path, name: str, image: Path, *settings: str) -> Path:
    own = (*SMOKE, *SUPER_RESOLUTION, *FEW, f"container.image={image}", *settings)
    options = [word for setting in own for word in ("--set", setting)]
    done = hpctrain(
        "render", "mantle.yaml", "--site", f"{name}.yaml", "--as", name, *options, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return folder / "jobs" / name


@pytest.fixture(scope="module")
def by_hydra(mantle: Path, image: Path, user: User) -> dict[str, torch.Tensor]:
    """Parameters after a training of two ranks on this machine, in the image as a folder."""
    ranks = ("resources.nodes=1", "resources.ranks_per_node=2")
    run = render(mantle, "hydra", unpack(user, image), *ranks)
    code, said = start(run)
    assert code == 0, said
    assert "2 ranks on 1 node, horovod, cpu" in said
    assert state(run)["status"] == "finished"
    return newest(run)


def test_mpich__says_what_is_in_it(image: Path, user: User) -> None:
    done = user.run("apptainer", "inspect", "--labels", "--json", image)
    labels = json.loads(done.stdout)["data"]["attributes"]["labels"]
    ours = {name: value for name, value in labels.items() if name.startswith("hpctrain.")}
    assert ours.pop("hpctrain.torch").startswith(versions()["python"]["torch"])
    assert ours.pop("hpctrain.version")
    assert ours == {
        "hpctrain.device": "cpu",
        "hpctrain.mpi": "mpich:4.0.2",
        "hpctrain.mpi.soname": "libmpich.so.12",
        "hpctrain.pmi": "pmi1",
        "hpctrain.horovod": versions()["horovod"],
        "hpctrain.glibc": "2.36",
    }


@requires(mpich=True)
def test_mpich__learns_under_hydra_of_this_machine(by_hydra: dict[str, torch.Tensor]) -> None:
    assert by_hydra


@requires(mpich=True, slurm=True)
def test_mpich__learns_the_same_over_two_nodes(
    cluster: Cluster, mantle: Path, image: Path, by_hydra: dict[str, torch.Tensor]
) -> None:
    # the cluster's nodes are one kernel, by which UCX knows a machine, and would share memory
    apart = "launch.env.UCX_TLS='tcp,self'"
    run = render(mantle, "srun", image, apart, *cluster.two_ranks)
    assert f"{cluster.where}, horovod, cpu" in finish(cluster, run)
    found = newest(run)
    assert found.keys() == by_hydra.keys()
    differing = [name for name in found if not torch.equal(found[name], by_hydra[name])]
    assert not differing, "the same code, torch and number of ranks give other parameters"
