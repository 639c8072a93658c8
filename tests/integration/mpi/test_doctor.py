"""`hpctrain doctor` with real ranks, and with launchers that do what wrong ones do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.commands import environment, hpctrain
from tests.requires import requires

Doctor = Callable[..., tuple[int, str, dict[str, Any]]]

HYDRA = """#!{python}
# As mpiexec.hydra, to ranks of another MPI: a PMI that they do not speak.
import os, subprocess, sys
if "--version" in sys.argv:
    print("HYDRA build details:\\n    Version:                                 4.0.2")
    sys.exit()
words = sys.argv[sys.argv.index("/bin/sh"):]
size = sys.argv[sys.argv.index("-np") + 1]
ranks = [
    subprocess.Popen(
        words,
        env={{**os.environ, "PMI_RANK": str(rank), "PMI_SIZE": size, "PMI_FD": "9"}}
        | {{"MPI_LOCALRANKID": str(rank), "MPI_LOCALNRANKS": size}},
    )
    for rank in range(int(size))
]
sys.exit(max(rank.wait() for rank in ranks))
"""
ALONE = """#!{python}
# Starts each rank as the only one.
import os, subprocess, sys
words = sys.argv[sys.argv.index("/bin/sh"):]
env = {{**os.environ, "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"}}
env |= {{"OMPI_COMM_WORLD_LOCAL_RANK": "0", "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}}
if "--version" not in sys.argv:
    ranks = [subprocess.Popen(words, env=env) for _ in range(2)]
    sys.exit(max(rank.wait() for rank in ranks))
print("mpirun (Open MPI) 5.0.11")
"""
HANGS = """#!{python}
# Never ends, does not listen, and has started a process of its own session.
import signal, subprocess, sys, time
if "--version" in sys.argv:
    print("mpirun (Open MPI) 5.0.11")
    sys.exit()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "4321"], start_new_session=True)
print("waiting for a daemon", file=sys.stderr, flush=True)
time.sleep(4321)
"""
HALF = """#!{python}
# One of two ranks never starts.
import os, subprocess, sys
if "--version" in sys.argv:
    print("mpirun (Open MPI) 5.0.11")
    sys.exit()
words = sys.argv[sys.argv.index("/bin/sh"):]
srun = {{"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}}
srun |= {{"SLURM_NODEID": "0", "SLURM_STEP_TASKS_PER_NODE": "2"}}
sys.exit(subprocess.call(words, env={{**os.environ, **srun}}))
"""
SITE = {
    "name": "bench",
    "title": "a bench",
    "scheduler": "local",
    "launcher": {"kind": "openmpi", "oversubscribe": True, "cpu_bind": "none"},
}


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Calls the doctor in an empty folder; exit code, page and ticket."""

    def call(*words: str, launcher: str = "", **env: str) -> tuple[int, str, dict[str, Any]]:
        is_on_bench = not Path(words[-1]).is_dir() if words else True
        site = json.loads(json.dumps(SITE))
        if launcher:
            program = tmp_path / "bin" / "mpirun"
            program.parent.mkdir()
            program.write_text(launcher.format(python=sys.executable))
            program.chmod(0o755)
            site["launcher"]["command"] = str(program)
        (tmp_path / "bench.yaml").write_text(yaml.safe_dump(site))
        done = hpctrain(
            *("doctor", "--json", "doctor.json", *words),
            *(("--site", "bench.yaml") if is_on_bench else ()),
            cwd=tmp_path,
            env=environment(**env),
            timeout=400,
        )
        page = tmp_path / "doctor.json"
        assert page.is_file(), done.stdout + done.stderr
        left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        assert not left, f"the doctor left {left}"
        return done.returncode, done.stdout + done.stderr, json.loads(page.read_text())

    return call


def lines(ticket: dict[str, Any], severity: str) -> list[str]:
    found = [line for line in ticket["lines"] if line["severity"] == severity]
    return [f"{line['topic']} {line['name']}: {line['text']}" for line in found]


def processes(word: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if word in words:
                found.append(int(entry.name))
    return found


@requires(mpi=True, horovod=True)
def test_doctor__two_ranks_of_this_machine(doctor: Doctor) -> None:
    code, page, ticket = doctor(HF_TOKEN="hf_abcdefgh", NCCL_DEBUG="hf_abcdefgh")
    assert code == 0, page
    assert ticket["schema"] == "hpctrain-doctor/1"
    assert not lines(ticket, "error")
    launch = ticket["facts"]["launch"]
    assert [note["ranks"]["rank"] for note in launch["ranks"]] in ([0, 1], [1, 0])
    assert {note["stage"] for note in launch["ranks"]} == {"done"}
    rows = ticket["facts"]["allreduce"]["rows"]
    assert rows[0]["bytes"] == 1024
    for row in rows:  # of two ranks the bus carries as much as the algorithm
        speed = row["bytes"] / row["time_us"] / 1e3
        assert row["algbw_gb_s"] == pytest.approx(speed, rel=0.01)
        assert row["busbw_gb_s"] == pytest.approx(speed, rel=0.01)
    offsets = ticket["facts"]["clock"]["offsets"]
    assert all(abs(one["offset_s"]) <= one["error_s"] + 1e-3 for one in offsets)
    assert ticket["facts"]["versions"]["packages"]["torch"]["digest"]
    assert "hf_abcdefgh" not in page + json.dumps(ticket)
    assert "HF_TOKEN: set, and never shown" in page
    assert len(page.splitlines()) <= 80
    assert "\x1b" not in page


@requires(mpi=True, horovod=True)
def test_doctor__launcher_of_another_mpi(doctor: Doctor) -> None:
    code, page, ticket = doctor(launcher=HYDRA)
    assert code == 5, page
    errors = "\n".join(lines(ticket, "error"))
    assert "mpi launcher: MPICH 4.0.2, " in errors
    assert "the site's launcher is openmpi, of the Open MPI family" in errors
    assert "the launcher is MPICH 4.0.2, so that each rank would be alone or not start" in errors
    assert "the MPI of Horovod believes to be alone" in errors


def test_doctor__each_rank_believes_to_be_alone(doctor: Doctor) -> None:
    code, page, ticket = doctor(launcher=ALONE)
    assert code == 5, page
    assert "launch world: 2 processes, and each was told of 1 ranks, not 2" in lines(
        ticket, "error"
    )


def test_doctor__launcher_hangs(doctor: Doctor) -> None:
    began = time.monotonic()
    code, page, ticket = doctor("--limit", "6", launcher=HANGS)
    assert code == 5, page
    assert time.monotonic() - began < 200
    (error,) = [line for line in lines(ticket, "error") if line.startswith("launch")]
    assert "mpirun did not end within 6 s, and was ended; no rank began" in error
    assert "it says: waiting for a daemon" in error
    end = time.monotonic() + 10
    while processes("4321") and time.monotonic() < end:
        time.sleep(0.1)
    assert not processes("4321")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_doctor__ended_from_outside_ends_its_ranks(tmp_path: Path, number: int) -> None:
    script, pause = tmp_path / "mpirun", str(87_000_000 + os.getpid())
    script.write_text(HANGS.format(python=sys.executable).replace("4321", pause))
    script.chmod(0o755)
    site = {**SITE, "launcher": {**SITE["launcher"], "command": str(script)}}
    (tmp_path / "bench.yaml").write_text(yaml.safe_dump(site))
    words = ("doctor", "--site", "bench.yaml", "--json", "doctor.json")
    with subprocess.Popen(
        [sys.executable, "-m", "hpctrain", *words],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        _until(lambda: bool(processes(pause)) or process.poll() is not None, 180)
        process.send_signal(number)
        time.sleep(0.3)
        process.send_signal(number)  # impatience must not leave half of it behind
        page, _ = process.communicate(timeout=60)
    left = processes(pause) + processes(str(script))
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
    assert process.returncode == 130, page
    assert page == "interrupted; the ranks were ended, and nothing is written\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.yaml", "mpirun"]


def _until(is_so: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.1)


def test_doctor__rank_that_never_comes(doctor: Doctor, small: Any) -> None:
    words = ("--job", str(small.folder / "small.yaml"), "--set", "launch.comm=ddp")
    code, page, ticket = doctor(*words, "--limit", "50", launcher=HALF)
    assert code == 5, page
    host, errors = os.uname().nodename.split(".")[0], "\n".join(lines(ticket, "error"))
    assert f"; rank 0 on {host}: opening launch.comm: ddp" in errors
    assert "mpirun ended with code 1" in errors, "the rank did not end itself in time"
    assert "of 2 ranks 1 began; missing: 1" in errors


@requires(mpi=True)
def test_doctor__two_ranks_with_one_mask(doctor: Doctor, tmp_path: Path, small: Any) -> None:
    words = ("--job", str(small.folder / "small.yaml"), "--set", "resources.gpus_per_rank=1")
    code, page, ticket = doctor(
        *words, "--set", f"data.root={small.folder / 'data'}", CUDA_VISIBLE_DEVICES="0"
    )
    assert code == 5, page
    errors = lines(ticket, "error")
    assert any("both have CUDA_VISIBLE_DEVICES=0" in line for line in errors), errors


@requires(mpi=True)
def test_doctor__run_directory(doctor: Doctor, small: Any) -> None:
    run = small.render(small.unique("well"), "launch.comm=ddp")
    before = sorted(path.relative_to(run) for path in run.rglob("*"))
    code, page, ticket = doctor("--job", str(run))
    assert code == 0, page
    assert ticket["facts"]["allreduce"]["backend"] == "gloo"
    assert sorted(path.relative_to(run) for path in run.rglob("*")) == before
    assert not list(run.parent.glob(".doctor-*"))
