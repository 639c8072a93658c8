"""Images under a real srun: over two nodes, and with a PMI that does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.container.boxes import render_shown, shown, site
from tests.integration.container.test_mismatch import IMAGES_OWN, container, settings
from tests.integration.container.two_nodes import needs_netns
from tests.integration.slurm.cluster import Cluster
from tests.requires import requires
from tests.runs import SmallRun, make_small

pytestmark = [requires(slurm=True, apptainer=True), pytest.mark.slow]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_small(tmp_path_factory.mktemp("small"))


def srun_site(small: SmallRun, name: str, box: dict[str, object], *args: str) -> str:
    launcher = {"kind": "srun", "args": list(args)}
    return site(small, name, box, scheduler="slurm", launcher=launcher)


def run_job(cluster: Cluster, run: Path) -> tuple[str, str]:
    """Hand a run in and wait; returns the exit code and what it printed."""
    job = cluster.wait(cluster.submit(run / "run.slurm"), seconds=180)
    return job["ExitCode"], "".join(p.read_text() for p in sorted((run / "logs").glob("*.out")))


@pytest.mark.parametrize(
    "engine", ["apptainer", pytest.param("charliecloud", marks=requires(charliecloud=True))]
)
def test_engine__over_two_nodes(small, cluster, base_image, base_folder, engine):
    needs_netns(cluster)
    image = base_folder if engine == "charliecloud" else base_image
    place = srun_site(small, engine, {"engine": engine}, "--mpi=pmix")
    more = ("train.adversary=null", f"container.image={image}")
    run = render_shown(small, engine, place, *cluster.two_ranks, *more)
    code, said = run_job(cluster, run)
    assert code == "0:0", said
    found = shown(run)
    assert [one["place"] for one in found] == ["0 2 0", "1 2 0"]
    assert [one["launcher"] for one in found] == ["0", "1"]
    assert [one["mask"] for one in found] == ["", ""]
    assert {one["job"] for one in found} == {"a $b"}
    assert {one["system"] for one in found} == {"bookworm"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "srun without --mpi (here: none) offers none: every rank would be rank 0 of 1"),
        (("--mpi=pmi2",), "srun --mpi=pmi2 offers pmi1 or pmi2: every rank would be rank 0 of 1"),
    ],
)
def test_srun__without_pmix(small, cluster, base_image, args, words):
    """Independent trainings were what users got (apptainer/singularity 5131)."""
    place = srun_site(small, f"no-pmix-{len(args)}", container(env=IMAGES_OWN), *args)
    own = settings(base_image, "launch.comm=mpi", *cluster.two_ranks)
    run = small.render(small.unique("no-pmix"), place, *own)
    lines = cluster.run("hpctrain", "check", run).stdout.splitlines()
    (line,) = [line for line in lines if words in line]
    assert line.startswith("error: container.image: ")
    assert "set launcher.args of the site to ['--mpi=pmix']" in line
    code, said = run_job(cluster, run)
    assert code == "5:0", said
    state = json.loads((run / "state.json").read_text())
    assert state["status"] == "failed"
    assert "was not started by this launcher" in state["message"]
    assert "first step done" not in said


def test_srun__with_pmix_trains(small, cluster, base_image):
    """What the checks advise."""
    needs_netns(cluster)
    place = srun_site(small, "pmix", container(env=IMAGES_OWN), "--mpi=pmix")
    own = settings(base_image, "launch.comm=mpi", *cluster.two_ranks)
    run = small.render(small.unique("pmix"), place, *own)
    lines = cluster.run("hpctrain", "check", run).stdout.splitlines()
    assert not [line for line in lines if line.startswith("error")], lines
    code, said = run_job(cluster, run)
    assert code == "0:0", said
    assert "2 ranks on 2 nodes, mpi, cpu" in said


def test_srun__a_plugin_that_is_not_there(small, cluster, base_image):
    place = srun_site(small, "none-such", container(), "--mpi=pmix_v1")
    run = small.render(small.unique("none"), place, *settings(base_image, *cluster.two_ranks))
    lines = cluster.run("hpctrain", "check", run).stdout.splitlines()
    found = [line for line in lines if "--mpi=pmix_v1 is not among what srun offers here" in line]
    assert found[0].startswith("error: launcher: "), lines
