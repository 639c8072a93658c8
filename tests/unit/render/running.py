"""Rendered run scripts whose training is a small shell program."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from hpctrain.render import render, write_run
from tests.jobs import inputs, mantle

ONE_RANK = ("resources.ranks_per_node=1",)


def make_run(folder: Path, program: str, *settings: str, name: str = "run") -> Path:
    """A rendered run whose interpreter is a small shell program."""
    python = folder / "python"
    python.write_text(f"#!/bin/bash\n{program}\n")
    python.chmod(0o755)
    resolved = mantle("local", *ONE_RANK, *settings)
    given = inputs(run_dir=str(folder / name), python=str(python))
    write_run(render(resolved.job, resolved.site, given), folder / name)
    return folder / name


def start(run: Path, **more: str) -> subprocess.Popen:
    """Start run.sh with these variables more."""
    # a clean environment: the tests may run under a scheduler or launcher themselves
    env = {"PATH": "/usr/bin:/bin", "HOME": str(run), **more}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([str(run / "run.sh")], cwd="/", env=env, text=True, **pipes)


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
