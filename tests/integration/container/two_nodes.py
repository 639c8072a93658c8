"""Trainings of an ordinary user over the two nodes of the test cluster, in an image or outside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.e2e.commands import state
from tests.integration.container.login import Login
from tests.integration.container.open_python import OpenPython
from tests.integration.container.test_mismatch import IMAGES_OWN
from tests.integration.slurm.cluster import Cluster
from tests.integration.slurm.jobs import log
from tests.integration.slurm.test_shipped import SMOKE, SUPER_RESOLUTION, sample_mantle
from tests.jobs import REPO
from tests.requires import find_mpirun
from tests.runs import newest

FEW = ("data.crop=[8, 8, 16]", "launch.comm=horovod")
LAUNCHERS = ("mpirun", "srun")
ONLY_INSIDE = """#!/bin/sh
[ -e /.singularity.d/labels.json ] || {{ echo "outside of the image" >&2; exit 9; }}
exec {python} "$@"
"""


class Desk:
    """What the user has on a login node: a shipped job, its data, and sites to choose from."""

    def __init__(
        self, login: Login, cluster: Cluster, open_python: OpenPython, folder: Path
    ) -> None:
        self.login, self.cluster, self.open_python = login, cluster, open_python
        self.folder = login.user.folder(folder)
        (folder / "mantle.yaml").write_text((REPO / "jobs" / "mantle.yaml").read_text())
        sample_mantle(folder)
        for path in folder.rglob("*"):
            shutil.chown(path, login.user.name)

    def outside(self) -> Path:
        """A run with this Python and its own MPI, outside of any image."""
        own = [f"launch.python={self.open_python.python}"]
        if self.open_python.libraries:
            own.append(f"launch.env.LD_LIBRARY_PATH={':'.join(self.open_python.libraries)}")
        launcher = {"kind": "openmpi", "command": self.open_python.moved(find_mpirun())}
        return self.train("outside", launcher, {}, *own)

    def inside(self, image: Path, name: str, *settings: str, **container: Any) -> Path:
        """A run in an image with Open MPI 4, which does not know the daemons of 5.

        Args:
            image: file or folder.
            name: of the run; its last word is the launcher.
            *settings: more of the job.
            **container: of the site's block.
        """
        launcher = {"kind": "openmpi", "command": self.open_python.moved(find_mpirun(4))}
        if name.endswith("srun"):
            needs_netns(self.cluster)
            launcher = {"kind": "srun", "args": ["--mpi=pmix"]}
        own = (f"container.image={image}", *settings)
        return self.train(name, launcher, {"mpi": "openmpi", **container}, *own)

    def shown_inside(self, image: Path, name: str, engine: str) -> Path:
        """The same in an image that has an MPI, and is shown this Python to train with."""
        libraries = [IMAGES_OWN["LD_LIBRARY_PATH"], *self.open_python.libraries[:1]]
        env = {**IMAGES_OWN, "LD_LIBRARY_PATH": ":".join(libraries)}
        binds = [str(folder) for folder in self.open_python.folders]
        python = self.folder / "python-inside"
        python.write_text(ONLY_INSIDE.format(python=self.open_python.python))
        python.chmod(0o755)
        binds.append(str(self.folder))
        own = f"launch.python={python}"
        return self.inside(image, name, own, engine=engine, env=env, binds=binds)

    def train(
        self, name: str, launcher: dict[str, Any], container: dict[str, Any], *settings: str
    ) -> Path:
        """A smoke-sized run of two ranks that the user rendered and handed in, gone to its end."""
        site = {"name": name, "title": "a Slurm cluster", "scheduler": "slurm"}
        site |= {"launcher": launcher, "mask_variable": "CUDA_VISIBLE_DEVICES"}
        (self.folder / f"{name}.yaml").write_text(json.dumps({**site, "container": container}))
        own = (*self.cluster.two_ranks, *SMOKE, *SUPER_RESOLUTION, *FEW, *settings)
        options = [word for setting in own for word in ("--set", setting)]
        words = ("render", "mantle.yaml", "--site", f"{name}.yaml", "--as", name, *options)
        done = self.login.hpctrain(*words, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        run = self.folder / "jobs" / name
        self.finish(run)
        return run

    def finish(self, run: Path) -> None:
        """Hand a run in as the user, and wait for its good end."""
        names = ("SLURM_CONF", "OMP_NUM_THREADS", "OMPI_MCA_btl")
        env = {name: self.cluster.env[name] for name in names if name in self.cluster.env}
        done = self.login.user.run("sbatch", "--parsable", run / "run.slurm", cwd=run, env=env)
        assert done.returncode == 0, done.stderr
        job = self.cluster.wait(done.stdout.strip(), seconds=240)
        said = log(run)
        assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), f"{job}\n{said}"
        assert job["UserId"].startswith(f"{self.login.user.name}("), job
        assert f"{self.cluster.where}, horovod, cpu" in said
        assert state(run)["status"] == "finished"


def needs_netns(cluster: Cluster) -> None:
    if cluster.mode != "netns":
        pytest.skip("Slurm's PMIx needs a folder of each node's own, so nodes in namespaces")


def assert_learned_the_same(run: Path, outside: dict[str, torch.Tensor]) -> None:
    """The training ended with exactly these parameters."""
    inside = newest(run)
    assert inside.keys() == outside.keys()
    differing = [name for name in inside if not torch.equal(inside[name], outside[name])]
    assert not differing, "the same code, torch and number of ranks give other parameters"
