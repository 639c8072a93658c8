"""Command lines of all launchers."""

import pytest

from hpctrain.config.job import Resources
from hpctrain.config.site import LauncherSpec
from hpctrain.launchers import LAUNCHERS, ShellVariable, make_launcher

ASK = Resources(nodes=2, ranks_per_node=4, cpus_per_rank=8, walltime="01:00:00")


def line(ask: Resources = ASK, env: tuple[str, ...] = ("A", "B"), **spec: object) -> str:
    return " ".join(make_launcher(LauncherSpec(**spec)).command(ask, env))


def test_openmpi__maps_by_node_and_exports_by_name():
    assert line(kind="openmpi") == "mpirun -np 8 --map-by ppr:4:node -x A -x B"


def test_openmpi__binding_to_cores_takes_the_width():
    assert "--map-by ppr:4:node:PE=8 --bind-to core" in line(kind="openmpi", cpu_bind="core")
    assert "--map-by ppr:4:node --bind-to none" in line(kind="openmpi", cpu_bind="none")


def test_openmpi__oversubscribed_workstation():
    ask = Resources(ranks_per_node=2, walltime="01:00:00")
    words = line(ask, (), kind="openmpi", oversubscribe=True, cpu_bind="none")
    assert words == "mpirun -np 2 --oversubscribe --bind-to none"


def test_pals__hands_on_the_environment_by_itself():
    assert line(kind="pals", cpu_bind="depth") == "mpiexec -n 8 --ppn 4 --depth 8 --cpu-bind depth"


def test_hydra():
    assert line(kind="hydra", cpu_bind="core") == "mpiexec -n 8 -ppn 4 -bind-to core -genvall"


def test_srun__says_all_counts_again():
    assert line(kind="srun", args=["--mpi=pmix"]) == (
        "srun --nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=8 --export=ALL "
        "--kill-on-bad-exit=0 --wait=30 --mpi=pmix"
    )


def test_aprun():
    assert line(kind="aprun", cpu_bind="none") == "aprun -n 8 -N 4 -d 8 -cc none"


def test_ibrun__counts_from_the_first_host_on():
    assert line(kind="ibrun", args=["task_affinity"]) == "ibrun -n 8 -o 0 task_affinity"


def test_jsrun__one_resource_set_a_rank():
    ask = ASK.model_copy(update={"gpus_per_rank": 1})
    words = line(ask, kind="jsrun", cpu_bind="rs", args=["--smpiargs=-gpu"])
    assert words == "jsrun -n 8 -r 4 -a 1 -c 8 -g 1 -b rs -E A -E B --smpiargs=-gpu"


def test_none__adds_nothing():
    assert line(kind="none") == ""


@pytest.mark.parametrize(
    ("kind", "option"), [("openmpi", "--hostfile"), ("pals", "--hostfile"), ("hydra", "-f")]
)
def test_hostfile__is_a_variable_for_the_script(kind, option):
    words = make_launcher(LauncherSpec(kind=kind, hostfile_variable="PBS_NODEFILE")).command(
        ASK, ()
    )
    value = words[words.index(option) + 1]
    assert isinstance(value, ShellVariable)
    assert value == "PBS_NODEFILE"


def test_command__other_program_and_more_words_of_the_site():
    assert line(env=(), kind="openmpi", command="/opt/x/mpirun", args=["--mca", "a", "b"]) == (
        "/opt/x/mpirun -np 8 --map-by ppr:4:node --mca a b"
    )


def test_launchers__every_kind_of_a_site_file_has_one():
    kinds = LauncherSpec.model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(LAUNCHERS)
