"""Which launcher a job gets, on which site."""

import pytest

from hpctrain.launchers import choose_launcher
from hpctrain.launchers.torchrun import agent_resources
from tests.jobs import BATCH, mantle


def words(site: str, *settings: str) -> str:
    given = (*BATCH, *settings) if site != "local" else settings
    resolved = mantle(site, *given)
    launcher = choose_launcher(resolved.job, resolved.site)
    return " ".join(launcher.command(resolved.job.resources, ["A"]))


def test_choose__the_sites_own():
    assert words("polaris") == (
        "mpiexec -n 8 --ppn 4 --hostfile PBS_NODEFILE --depth 8 --cpu-bind depth"
    )


def test_choose__one_local_rank_needs_none():
    assert words("local", "resources.ranks_per_node=1") == ""
    assert words("local", "resources.ranks_per_node=1", "launch.launcher=openmpi") == (
        "mpirun -np 1 --oversubscribe --bind-to none -x A"
    )


def test_choose__the_job_goes_before_the_site_and_keeps_its_hosts():
    assert words("polaris", "launch.launcher=openmpi") == (
        "mpirun -np 8 --hostfile PBS_NODEFILE --map-by ppr:4:node --bind-to none -x A"
    )
    assert words("polaris", "launch.launcher=hydra") == (
        "mpiexec -n 8 -ppn 4 -f PBS_NODEFILE -genvall"
    )


def test_choose__the_sites_arguments_are_for_its_own_launcher():
    assert "--gpu-bind=none" in words("frontier")
    assert "--gpu-bind=none" in words("frontier", "launch.launcher=srun")
    assert words("frontier", "launch.launcher=openmpi") == (
        "mpirun -np 8 --map-by ppr:4:node --bind-to none -x A"
    )


@pytest.mark.parametrize("site", ["local", "frontier", "vista"])
def test_choose__torchrun_on_one_node_starts_alone(site):
    settings = ("resources.nodes=1", "resources.ranks_per_node=1", "resources.account=x")
    resolved = mantle(site, *settings, "launch.launcher=torchrun")
    assert choose_launcher(resolved.job, resolved.site).spec.kind == "none"


def test_agents__one_a_node_with_all_of_its_cores():
    resolved = mantle("frontier", *BATCH, "launch.launcher=torchrun", "resources.gpus_per_rank=1")
    launcher = choose_launcher(resolved.job, resolved.site)
    ask = agent_resources(resolved.job.resources, launcher)
    assert (ask.nodes, ask.ranks_per_node, ask.cpus_per_rank, ask.gpus_per_rank) == (2, 1, 32, 4)
