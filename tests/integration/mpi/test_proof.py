"""Wrong launches, in real processes: each is refused, with its own sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.integration.mpi.conftest import SmallRun, wait_until
from tests.requires import find_mpirun, requires

LIMIT_S = 120
FOREIGN = ("OMPI_", "PMIX_", "PMI_", "PRTE_", "SLURM_", "HPCTRAIN_")
ONE_DEVICE = """
import sys
from hpctrain.train import __main__, proof
proof._device = lambda comm: "GPU-5f1d"
__main__.main(sys.argv[1:])
"""


@pytest.fixture
def run(small: SmallRun) -> Path:
    return small.render(small.unique("wrong"))


@pytest.fixture
def two_runs(small: SmallRun) -> tuple[Path, Path]:
    """A run directory and a copy of it, as a rank would see through a wrong mount."""
    first = small.render(small.unique("wrong"))
    second = first.with_name(f"{first.name}-copy")
    shutil.copytree(first, second)
    return first, second


def clean(run: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    path = os.pathsep.join([str(run / "code"), str(Path(sys.executable).parent)])
    asked = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    asked |= {"OMP_NUM_THREADS": "1", "OMPI_MCA_btl": "^ofi", "HPCTRAIN_LAUNCH_ID": "one"}
    return {**kept, **asked, **warm.variables(path), **more}


def rank_words(run: Path, *python: str) -> list[str]:
    program = python or ("-m", "hpctrain.train")
    return ["/bin/sh", str(run / "rank.sh"), sys.executable, *program, str(run)]


def start(run: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    """A rank without a launcher."""
    return subprocess.Popen(
        words or rank_words(run),
        cwd=run,
        env=clean(run, **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(processes: list[subprocess.Popen[str]]) -> tuple[list[int], str]:
    texts = [process.communicate(timeout=LIMIT_S)[0] for process in processes]
    return [process.returncode for process in processes], "\n".join(texts)


def mpirun(run: Path, *groups: list[str]) -> tuple[int, str]:
    """Each group is one rank of the same job."""
    mpi = find_mpirun()
    assert mpi
    words = [mpi, "--oversubscribe", "--bind-to", "none"]
    for i, group in enumerate(groups):
        words += [*([":"] if i else []), "-np", "1", *group]
    done = subprocess.run(
        words, cwd=run, env=clean(run), capture_output=True, text=True, timeout=LIMIT_S
    )
    return done.returncode, done.stdout + done.stderr


def state(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "state.json").read_text())
    return found


def as_srun(rank: int, size: int = 2) -> dict[str, str]:
    """What a step of srun --mpi=none leaves: ranks, and nothing by which an MPI could start."""
    return {
        "SLURM_STEP_NUM_TASKS": str(size),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "SLURM_STEP_TASKS_PER_NODE": str(size),
    }


def test_proof__independent_starts_of_one_rank_each(run: Path) -> None:
    codes, text = finish([start(run, HPCTRAIN_LAUNCHER="none") for _ in range(2)])
    assert codes == [5, 5], text
    assert text.count("job asked for 2 ranks, launcher started 1; the launcher started indep") == 2
    assert state(run)["status"] == "failed"


@requires(mpi=True, horovod=True)
def test_proof__srun_counts_two_and_horovods_mpi_counts_one(run: Path) -> None:
    codes, text = finish([start(run, **as_srun(rank)) for rank in range(2)])
    assert codes == [5, 5], text
    assert "the launcher started 2 ranks, and the MPI of Horovod believes to be alone" in text


@requires(mpi=True)
def test_proof__srun_without_pmi_and_mpi_asked_for(small: SmallRun) -> None:
    run = small.render(small.unique("wrong"), "launch.comm=mpi")
    codes, text = finish([start(run, **as_srun(rank)) for rank in range(2)])
    assert codes == [5, 5], text
    assert "launch.comm is mpi, but Open MPI" in text
    assert "was not started by this launcher" in text


def test_proof__ddp_needs_no_mpi_and_trains(small: SmallRun) -> None:
    run = small.render(small.unique("without-mpi"), "launch.comm=ddp")
    codes, text = finish([start(run, **as_srun(rank)) for rank in range(2)])
    assert codes == [0, 0], text
    assert not list((run / "logs").glob(".rendezvous*"))


def test_proof__a_rank_started_twice(small: SmallRun) -> None:
    run = small.render(small.unique("wrong"), "launch.comm=ddp", "resources.ranks_per_node=4")
    ranks = [start(run, **as_srun(rank, 4)) for rank in (0, 2, 2)]
    try:
        # one of the two is refused, the other waits for a rank that never comes
        wait_until(lambda: any(process.poll() == 5 for process in ranks[1:]), LIMIT_S)
    finally:
        for process in ranks:
            if process.poll() is None:
                process.kill()
    text = "".join(process.communicate()[0] for process in ranks)
    assert "rank 2 was started twice, on " in text, text


IMPATIENT = """
import sys
from hpctrain.comm import rendezvous
from hpctrain.train import __main__
rendezvous._TIMEOUT_S = 8.0
__main__.main(sys.argv[1:])
"""


def test_proof__a_rank_that_never_comes(small: SmallRun) -> None:
    run = small.render(small.unique("wrong"), "launch.comm=ddp", "resources.ranks_per_node=4")
    words = rank_words(run, "-c", IMPATIENT)
    codes, text = finish([start(run, *words, **as_srun(rank, 4)) for rank in (0, 2)])
    assert codes[0] == 5, text  # rank 2 may find no more than that rank 0 has left
    assert "ranks 1, 3 did not come within 8 s of rank 0's start; look in the log" in text
    assert "Traceback" not in text
    assert state(run)["exit_code"] == 5


def test_proof__rank_0_can_leave_no_address(small: SmallRun) -> None:
    run = small.render(small.unique("wrong"), "launch.comm=ddp")
    (run / "logs" / ".rendezvous-one.tmp").mkdir()
    codes, text = finish([start(run, **as_srun(0))])
    assert codes == [6], text
    assert ".rendezvous-one: cannot be written (Is a directory); make room" in text
    assert "Traceback" not in text


@requires(mpi=True, horovod=True)
def test_proof__rank_0_started_twice(run: Path) -> None:
    code, text = mpirun(run, rank_words(run), ["env", "OMPI_COMM_WORLD_RANK=0", *rank_words(run)])
    assert code != 0
    assert "this run is training already" in text


@requires(mpi=True, horovod=True)
def test_proof__two_ranks_on_one_device(run: Path) -> None:
    words = rank_words(run, "-c", ONE_DEVICE)
    code, text = mpirun(run, words, words)
    assert code == 5, text
    assert "ranks 0 and 1 on " in text
    assert "share the device GPU-5f1d; start every rank through rank.sh" in text


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("config.yaml", "the config that rank 0 read differs from that of rank 1 on "),
        ("index.csv", "the index that rank 0 read differs from that of rank 1 on "),
    ],
)
def test_proof__a_rank_with_another_file(
    two_runs: tuple[Path, Path], name: str, expected: str
) -> None:
    first, second = two_runs
    with (second / name).open("a") as file:
        file.write("\n")
    code, text = mpirun(first, rank_words(first), rank_words(second))
    assert code == 5, text
    assert expected in text
    assert "check mounts and stale caches" in text


@requires(mpi=True, horovod=True)
def test_proof__a_rank_with_another_program(two_runs: tuple[Path, Path]) -> None:
    first, second = two_runs
    with (second / "code" / "hpctrain" / "errors.py").open("a") as file:
        file.write("# changed\n")
    other = ["env", f"PYTHONPATH={second / 'code'}", *rank_words(second)]
    code, text = mpirun(first, rank_words(first), other)
    assert code == 5, text
    assert "runs another hpctrain than rank 0 on " in text
    assert str(second / "code" / "hpctrain") in text


@requires(mpi=True, horovod=True)
def test_proof__other_nodes_than_asked_for(run: Path) -> None:
    config = run / "config.yaml"
    config.write_text(
        config.read_text()
        .replace("nodes: 1\n", "nodes: 2\n", 1)
        .replace("ranks_per_node: 2\n", "ranks_per_node: 1\n", 1)
    )
    code, text = mpirun(run, rank_words(run), rank_words(run))
    assert code == 5, text
    assert "job asked for 2 nodes, ranks run on 1 (" in text
