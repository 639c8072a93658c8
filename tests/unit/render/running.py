"""Rendered run scripts whose training is a small shell program."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from hpctrain.render import render, write_run
from tests.jobs import inputs, mantle

ONE_RANK = ("resources.ranks_per_node=1",)

MPIRUN = """
export OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE="$2"
export OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE="$HPCTRAIN_RANKS_PER_NODE"
shift "$(($# - 6))"
exec "$@"
"""
"""Starts rank 0 alone: /bin/sh rank.sh python -m hpctrain.train RUN are the last six words."""


def make_run(
    folder: Path, program: str, *settings: str, name: str = "run", site: str = "local"
) -> Path:
    """A rendered run whose interpreter, and whose mpirun, are small shell programs."""
    python = folder / "bin" / "python"
    write_program(python, program)
    write_program(folder / "bin" / "mpirun", MPIRUN)
    resolved = mantle(site, *ONE_RANK, *settings)
    given = inputs(run_dir=str(folder / name), python=str(python))
    write_run(render(resolved.job, resolved.site, given), folder / name)
    return folder / name


def write_program(path: Path, text: str) -> None:
    """A small shell program."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def start(run: Path, **more: str) -> subprocess.Popen:
    """Start the run script with these variables more."""
    # a clean environment: the tests may run under a scheduler or launcher themselves
    env = {"PATH": "/usr/bin:/bin", "HOME": str(run), **more}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    (script,) = run.glob("run.*")
    return subprocess.Popen([str(script)], cwd="/", env=env, text=True, **pipes)


def wait_for(path: Path) -> None:
    """Until a file is there."""
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.01)


def state(run: Path) -> dict:
    """What state.json says."""
    return json.loads((run / "state.json").read_text())


def shorten(run: Path, seconds: int) -> None:
    """Let the walltime of one minute, the shortest there is, end after so many seconds."""
    script = run / "run.sh"
    text = script.read_text()
    assert "date +%s) + 60))" in text
    script.write_text(text.replace("date +%s) + 60))", f"date +%s) + {seconds}))"))
