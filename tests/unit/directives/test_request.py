"""The same request from three schedulers' directives."""

import pytest

from hpctrain.directives import read_script, request_of
from hpctrain.directives.fields import memory_mb
from hpctrain.directives.model import Dependency
from hpctrain.directives.request import unread_chunk_parts

SAME = {
    "pbs": """#PBS -N mantle -A Project1 -q prod
#PBS -l select=2:ncpus=32:mpiprocs=4:ngpus=4:mem=64gb,place=scatter,walltime=01:30:00
#PBS -j oe -o logs/ -J 0-9%2 -r y -h
#PBS -W depend=afterok:1:2,afterany:3
#PBS -M ada@example.org -m abe -v A=1,B""",
    "slurm": """#SBATCH -J mantle -A Project1 -p prod
#SBATCH -N 2 --ntasks-per-node=4 -c 8 --gpus-per-node=4 --mem=64G -t 1:30:00
#SBATCH -o logs/ -a 0-9%2 --requeue --hold --export=A=1,B
#SBATCH -d afterok:1:2,afterany:3
#SBATCH --mail-user=ada@example.org --mail-type=ALL""",
}


@pytest.mark.parametrize("scheduler", SAME)
def test_request_of__says_the_same(scheduler):
    request = request_of(read_script(SAME[scheduler], scheduler))
    found = {k: v for k, v in vars(request).items() if k != "has_whole_env"}
    assert found == {
        "name": "mantle",
        "account": "Project1",
        "queue": "prod",
        "nodes": 2,
        "ranks_per_node": 4,
        "cpus_per_node": 32,
        "gpus_per_node": 4,
        "memory_mb": 65536,
        "is_exclusive": False,
        "walltime_s": 5400,
        "filesystems": (),
        "output": "logs/",
        "error": None,
        "is_joined": True,
        "array": "0-9%2",
        "dependencies": (Dependency("afterok", ("1", "2")), Dependency("afterany", ("3",))),
        "mail_to": "ada@example.org",
        "mail_at": frozenset({"begin", "end", "fail"}),
        "is_rerunnable": True,
        "is_held": True,
        "env": (("A", "1"), ("B", None)),
        "workdir": None,
        "extra": (),
    }


def test_request_of__cobalt():
    script = "#!/bin/bash\n#COBALT -n 010 -t 90 -q q -A p --attrs filesystems=home,eagle\n"
    script += "#COBALT -O out/$jobid --env A=1:B=x --dependencies 1:2 --mode script"
    request = request_of(read_script(script, "cobalt"))
    assert (request.nodes, request.walltime_s, request.queue) == (8, 5400, "q")
    assert request.filesystems == ("home", "eagle")
    assert (request.output, request.error) == ("out/$jobid.output", "out/$jobid.error")
    assert request.env == (("A", "1"), ("B", "x"))
    assert request.dependencies == (Dependency("afterok", ("1", "2")),)
    assert request.extra == ()


@pytest.mark.parametrize(
    ("value", "nodes", "ranks", "cpus"),
    [("3", 3, None, None), ("2:ppn=4", 2, 4, 4), ("1:ppn=4+2:ppn=4", 3, 4, 4)],
)
def test_request_of__older_nodes(value, nodes, ranks, cpus):
    request = request_of(read_script(f"#PBS -l nodes={value}", "pbs"))
    assert (request.nodes, request.ranks_per_node, request.cpus_per_node) == (nodes, ranks, cpus)


@pytest.mark.parametrize(
    ("line", "nodes", "ranks", "gpus"),
    [
        ("-n 8 -N 2", 2, 4, None),
        ("-n 5", 1, 5, None),
        ("-N 2 --gres=gpu:a", 2, None, None),
        ("-N 2 --gres=gpu:3", 2, None, 3),
        ("-N 2 --ntasks-per-node=4 --gpus-per-task=1", 2, 4, 4),
        ("-N 2-2 --gpus=8", 2, None, 4),
    ],
)
def test_request_of__slurm_counts(line, nodes, ranks, gpus):
    request = request_of(read_script(f"#SBATCH {line}", "slurm"))
    assert (request.nodes, request.ranks_per_node, request.gpus_per_node) == (nodes, ranks, gpus)


@pytest.mark.parametrize(
    ("scheduler", "line"),
    [
        ("pbs", "#PBS -l select=1:ncpus=4+2:ncpus=8"),
        ("pbs", "#PBS -l walltime=2h"),
        ("pbs", "#PBS -P project"),
        ("pbs", "#PBS -k oe"),
        ("slurm", "#SBATCH --time=UNLIMITED"),
        ("slurm", "#SBATCH --nodes=2-4"),
        ("slurm", "#SBATCH --gres=gpu:a100:4"),
        ("slurm", "#SBATCH --qos=debug"),
        ("slurm", "#SBATCH --mem=0"),
        ("slurm", "#SBATCH -d afterok:1?afterok:2"),
    ],
)
def test_request_of__the_rest_is_kept_as_it_is(scheduler, line):
    assert [d.raw for d in request_of(read_script(line, scheduler)).extra] == [line]


def test_request_of__parts_of_chunks_without_a_field():
    reading = read_script("#PBS -l select=2:system=polaris:ncpus=4:mem=1gb", "pbs")
    assert unread_chunk_parts(reading.read) == ["system=polaris"]


@pytest.mark.parametrize(
    ("text", "bare", "mb"),
    [
        ("64gb", "b", 65536),
        ("64G", "m", 65536),
        ("500", "m", 500),
        ("1048577", "b", 2),
        ("1024kb", "b", 1),
        ("2T", "m", 2097152),
    ],
)
def test_memory_mb__units(text, bare, mb):
    assert memory_mb(text, bare) == mb
