"""Which ranks are started where."""

from __future__ import annotations

import pytest

from hpctrain.config.load import read_site
from hpctrain.config.site import LauncherSpec
from hpctrain.doctor.place import Allocation, find_allocation
from hpctrain.doctor.plan import make_plan
from hpctrain.launchers import choose_launcher
from tests.jobs import BATCH, mantle

LOCAL, SLURM, POLARIS = (read_site(name)[0] for name in ("local", "generic-slurm", "polaris"))


def job_in(nodes: int, slots: int | None = None) -> Allocation:
    return Allocation("slurm", "42", nodes, slots)


def shape(plan) -> tuple[int, int, int]:
    ask = plan.job.resources
    return ask.nodes, ask.ranks_per_node, ask.gpus_per_rank


@pytest.mark.parametrize(
    ("allocation", "num_gpus", "expected"),
    [
        (None, 0, (1, 2, 0)),
        (None, 1, (1, 2, 0)),
        (None, 4, (1, 4, 1)),
        (job_in(1), 0, (1, 2, 0)),
        (job_in(1, 1), 0, (1, 2, 0)),
        (job_in(1, 1), 4, (1, 2, 1)),
        (job_in(3), 0, (3, 1, 0)),
        (job_in(2), 1, (2, 1, 1)),
        (job_in(2, 2), 4, (2, 2, 1)),
    ],
)
def test_make_plan__own_ranks(allocation, num_gpus: int, expected) -> None:
    assert shape(make_plan(None, SLURM, allocation, num_gpus)) == expected


def with_launcher(**launcher):
    spec = LauncherSpec.model_validate({"cpu_bind": None, **launcher})
    return SLURM.model_copy(update={"launcher": spec})


@pytest.mark.parametrize("kind", ["openmpi", "hydra"])
def test_make_plan__two_ranks_crowd_a_job_of_one(kind: str) -> None:
    site = with_launcher(kind=kind, cpu_bind="core")
    plan = make_plan(None, site, job_in(1, 1), 0)
    assert (shape(plan), plan.is_crowded) == ((1, 2, 0), True)
    words = choose_launcher(plan.job, plan.on(site)).command(plan.job.resources, [])
    assert ("--oversubscribe" in words) is (kind == "openmpi")
    assert "core" not in words
    roomy = make_plan(None, site, job_in(1, 2), 0)
    assert (shape(roomy), roomy.is_crowded, roomy.remedy) == ((1, 2, 0), False, "")
    assert roomy.on(site) == site


@pytest.mark.parametrize(
    ("scheduler", "remedy"),
    [
        ("slurm", "ask inside a job with room for two: `salloc --ntasks-per-node=2`"),
        ("pbs", "ask inside a job with room for two: `qsub -I -l select=1:mpiprocs=2`"),
    ],
)
def test_make_plan__srun_crowds_no_job(scheduler: str, remedy: str) -> None:
    site = with_launcher(kind="srun")
    plan = make_plan(None, site, Allocation(scheduler, "42", 1, 1), 0)
    assert (shape(plan), plan.is_crowded, plan.remedy) == ((1, 1, 0), False, remedy)
    assert not plan.refusal
    assert plan.on(site) == site


def test_make_plan__job_shrinks_to_the_job_around_it() -> None:
    job = mantle("generic-slurm", *BATCH, "resources.nodes=4", "resources.ranks_per_node=2").job
    plan = make_plan(job, SLURM, job_in(2), 0)
    assert shape(plan)[:2] == (2, 2)
    assert plan.asked == 8


def test_make_plan__job_on_a_login_node_has_two_ranks() -> None:
    job = mantle("generic-slurm", *BATCH, "resources.nodes=2", "resources.ranks_per_node=4").job
    assert shape(make_plan(job, SLURM, None, 0))[:2] == (1, 2)


def test_make_plan__launchers_that_need_a_job() -> None:
    plan = make_plan(None, POLARIS, None, 0)
    assert plan.refusal == "this is no job, and pals starts ranks only inside one"
    assert plan.remedy == "ask again inside a job: `qsub -I -l select=2`, then hpctrain doctor"
    assert not make_plan(None, POLARIS, job_in(2), 0).refusal


def test_make_plan__site_that_wants_none_on_login_nodes() -> None:
    site = SLURM.model_copy(update={"login_ranks": False})
    assert "login_ranks: false" in make_plan(None, site, None, 0).refusal
    assert not make_plan(None, site, job_in(1), 0).refusal
    assert not make_plan(None, SLURM, None, 0).refusal


def test_find_allocation__slurm() -> None:
    env = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "3", "SLURM_TASKS_PER_NODE": "4(x2),1"}
    assert find_allocation(env) == Allocation("slurm", "7", 3, 1)
    assert find_allocation({"SLURM_JOB_ID": "7"}) == Allocation("slurm", "7", 1, None)


def test_find_allocation__pbs_counts_hosts_and_their_lines(tmp_path) -> None:
    (tmp_path / "nodes").write_text("x1\nx1\nx2\nx2\n")
    env = {"PBS_JOBID": "9.pbs", "PBS_NODEFILE": str(tmp_path / "nodes")}
    assert find_allocation(env) == Allocation("pbs", "9.pbs", 2, 2)
    gone = {**env, "PBS_NODEFILE": str(tmp_path / "gone")}
    trouble = f"PBS_NODEFILE={tmp_path / 'gone'} cannot be read"
    assert find_allocation(gone) == Allocation("pbs", "9.pbs", 1, None, trouble)
    known = find_allocation({"PBS_JOBID": "9.pbs"})
    assert known == Allocation("pbs", "9.pbs", 1, None, "PBS_NODEFILE is not set")


COBALT = {
    # what cluster_run_forker.py sets: nodes in PARTSIZE, processes in JOBSIZE
    "COBALT_JOBID": "5",
    "COBALT_PARTNAME": "thetagpu05:thetagpu06",
    "COBALT_PARTSIZE": "2",
    "COBALT_JOBSIZE": "16",
    "COBALT_RESID": "31",
    "COBALT_STARTTIME": "1637589600",
    "COBALT_ENDTIME": "1637593200",
}


def test_find_allocation__cobalt_cluster(tmp_path) -> None:
    (tmp_path / "nodes").write_text("thetagpu05\nthetagpu06\n")
    env = {**COBALT, "COBALT_NODEFILE": str(tmp_path / "nodes")}
    assert find_allocation(env) == Allocation("cobalt", "5", 2, None)


def test_find_allocation__cobalt_cray_has_no_node_file() -> None:
    env = {**COBALT, "COBALT_PARTNAME": "12-13", "COBALT_PROJECT": "a", "COBALT_QUEUE": "default"}
    assert find_allocation(env) == Allocation("cobalt", "5", 2, None)
    assert find_allocation({"COBALT_JOBID": "5", "COBALT_JOBSIZE": "8"}).nodes == 8


def test_find_allocation__cobalt_that_says_nothing_and_none() -> None:
    found = find_allocation({"COBALT_JOBID": "5"})
    assert found == Allocation("cobalt", "5", 1, None, "COBALT_NODEFILE is not set")
    assert find_allocation({}) is None
