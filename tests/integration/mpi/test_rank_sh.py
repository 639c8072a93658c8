"""rank.sh and run.sh under a real mpirun: Open MPI 4 and 5."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpctrain.render import render, write_run
from hpctrain.render.script import rank_script
from tests.jobs import inputs, mantle
from tests.requires import find_mpirun, requires

ROOT_OK = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
MAJORS = [
    pytest.param(4, marks=requires(mpi=True, openmpi4=True)),
    pytest.param(5, marks=requires(mpi=True, openmpi5=True)),
]


def clean(**more: str) -> dict[str, str]:
    """An environment without a trace of launchers and schedulers."""
    foreign = ("OMPI_", "PMI", "SLURM_", "PALS_", "HPCTRAIN_", "PRTE_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    return {**kept, **ROOT_OK, **more}


def mpirun(major: int, ranks: int, *command: str, **env: str) -> subprocess.CompletedProcess:
    words = [
        find_mpirun(major),
        "-np",
        str(ranks),
        "--oversubscribe",
        "--bind-to",
        "none",
        *command,
    ]
    return subprocess.run(words, env=clean(**env), capture_output=True, text=True, timeout=60)


def write_rank_sh(folder: Path, *settings: str) -> str:
    resolved = mantle("local", *settings)
    path = folder / "rank.sh"
    path.write_text(rank_script(resolved.job, resolved.site))
    return str(path)


SHOW = (
    "echo $HPCTRAIN_RANK $HPCTRAIN_WORLD_SIZE $HPCTRAIN_LOCAL_RANK $HPCTRAIN_LOCAL_SIZE "
    "m$CUDA_VISIBLE_DEVICES"
)


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_rank_sh__every_rank_knows_its_place(tmp_path, major, ranks):
    done = mpirun(major, ranks, "/bin/sh", write_rank_sh(tmp_path), "sh", "-c", SHOW)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"{r} {ranks} {r} {ranks} m" for r in range(ranks)]


@pytest.mark.parametrize("major", MAJORS)
def test_rank_sh__each_rank_gets_its_own_gpu(tmp_path, major):
    script = write_rank_sh(tmp_path, "resources.gpus_per_rank=1")
    done = mpirun(major, 2, "/bin/sh", script, "sh", "-c", SHOW, CUDA_VISIBLE_DEVICES="5,3")
    assert sorted(done.stdout.splitlines()) == ["0 2 0 2 m5", "1 2 1 2 m3"]


@pytest.mark.parametrize("major", MAJORS)
def test_rank_sh__under_sbatch_the_launcher_counts(tmp_path, major):
    batch = {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_LOCALID": "0", "RANK": "0"}
    script = write_rank_sh(tmp_path)
    # not SLURM_JOB_ID: mpirun itself would look for the allocation
    done = mpirun(major, 2, "/bin/sh", script, "sh", "-c", SHOW, **batch)
    assert sorted(done.stdout.splitlines()) == ["0 2 0 2 m", "1 2 1 2 m"]


@pytest.mark.parametrize("major", MAJORS)
def test_rank_sh__a_failing_rank_ends_the_job(tmp_path, major):
    script = write_rank_sh(tmp_path, "resources.gpus_per_rank=1")
    began = time.monotonic()
    done = mpirun(major, 4, "/bin/sh", script, "sleep", "30", CUDA_VISIBLE_DEVICES="0,1,2")
    assert done.returncode == 5
    assert "local rank 3 needs GPU 4" in done.stderr
    assert time.monotonic() - began < 20


TRAINER = """
import os, pathlib, signal, sys, time
run, rank = pathlib.Path(sys.argv[-1]), os.environ["HPCTRAIN_RANK"]
asked = []
signal.signal(signal.SIGUSR1, lambda *_: asked.append("USR1"))
(run / f"env{rank}").write_text("\\n".join(f"{k}={v}" for k, v in os.environ.items()))
end = time.monotonic() + float(os.environ.get("SECONDS_TO_RUN", "0"))
while time.monotonic() < end and not asked:
    time.sleep(0.02)
(run / f"got{rank}").write_text(" ".join(asked))
time.sleep(0.5)
sys.exit(75 if asked else 0)
"""


def make_run(folder: Path, major: int, seconds: float) -> Path:
    """A rendered run of two ranks whose interpreter runs TRAINER, beside an mpirun."""
    (folder / "trainer.py").write_text(TRAINER)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/trainer.py "$@"\n')
    python.chmod(0o755)
    (folder / "mpirun").symlink_to(find_mpirun(major))
    resolved = mantle("local", f'launch.env={{SECONDS_TO_RUN: "{seconds}", ODD: "a $HOME; b"}}')
    run = folder / "run"
    write_run(render(resolved.job, resolved.site, inputs(str(run), str(python))), run)
    return run


@pytest.mark.parametrize("major", MAJORS)
def test_run_sh__starts_all_ranks_with_the_same_environment(tmp_path, major):
    run = make_run(tmp_path, major, 0)
    done = subprocess.run([run / "run.sh"], env=clean(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = [
        dict(v.split("=", 1) for v in (run / f"env{r}").read_text().split("\n") if "=" in v)
        for r in (0, 1)
    ]
    assert [env["HPCTRAIN_RANK"] for env in found] == ["0", "1"]
    for name in ("HPCTRAIN_LAUNCH_ID", "HPCTRAIN_DEADLINE", "PYTHONPATH", "OMP_NUM_THREADS", "ODD"):
        assert found[0][name] == found[1][name]
    assert found[0]["ODD"] == "a $HOME; b"


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_run_sh__a_warning_reaches_every_rank(tmp_path, major, number):
    run = make_run(tmp_path, major, 30)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen([run / "run.sh"], env=clean(), text=True, **pipes)
    end = time.monotonic() + 20
    while not all((run / f"env{r}").exists() for r in (0, 1)):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=40)
    assert process.returncode == 75, out
    assert [(run / f"got{r}").read_text() for r in (0, 1)] == ["USR1", "USR1"]


@requires(mpi=True)
def test_run_sh__a_killed_rank_is_noted_as_failed(tmp_path):
    run = make_run(tmp_path, 5 if find_mpirun(5) else 4, 30)
    process = subprocess.Popen(
        [run / "run.sh"], env=clean(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 20
    while not (run / "env1").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    for line in Path("/proc").iterdir():
        try:
            command = (line / "cmdline").read_bytes().decode().split("\0")
            if (
                f"{tmp_path}/trainer.py" in command
                and b"HPCTRAIN_RANK=1\0" in (line / "environ").read_bytes()
            ):
                os.kill(int(line.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue
    assert process.wait(timeout=40) not in (0, 75)
    assert json.loads((run / "state.json").read_text())["status"] == "failed"


@pytest.mark.parametrize("major", MAJORS)
def test_pbs_rsh__open_mpi_starts_its_daemon_on_another_host(tmp_path, major):
    """An Open MPI without PBS support reaches a second node through pbs_tmrsh."""
    resolved = mantle("generic-pbs", "resources.nodes=2", "resources.ranks_per_node=1")
    files = render(resolved.job, resolved.site, inputs())
    (tmp_path / "pbs_rsh.sh").write_bytes(files["pbs_rsh.sh"].content)
    (tmp_path / "pbs_rsh.sh").chmod(0o755)
    (tmp_path / "pbs_tmrsh").write_text(
        f'#!/bin/sh\necho "$1" >>{tmp_path}/reached\nshift\nexec env -i "$@"\n'
    )
    (tmp_path / "pbs_tmrsh").chmod(0o755)
    (tmp_path / "nodes").write_text(f"{os.uname().nodename}\nhpctrain-no-such-host\n")
    script = files["run.pbs"].content.decode().replace("/home/user/jobs/mantle", str(tmp_path))
    exports = [line for line in script.splitlines() if "_MCA_plm_" in line]
    mpirun_dir = os.path.dirname(find_mpirun(major))  # a bare name gives the daemon no prefix
    words = ["mpirun", "-np", "2", "--hostfile", "nodes", "--map-by", "ppr:1:node"]
    command = " ".join([*words, "--bind-to", "none", "sh", write_rank_sh(tmp_path), "sh", "-c"])
    done = subprocess.run(
        ["bash", "-c", "\n".join([f"run={tmp_path}", *exports, f"{command} '{SHOW}'"])],
        cwd=tmp_path,
        env=clean(PATH=f"{tmp_path}:{mpirun_dir}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert sorted(done.stdout.splitlines()) == ["0 2 0 1 m", "1 2 0 1 m"], done.stderr
    assert (tmp_path / "reached").read_text() == "hpctrain-no-such-host\n"
