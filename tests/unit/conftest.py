"""For tests of jobs: run directories, and programs that answer as a scheduler's would."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from hpctrain.render import render, write_run
from tests.jobs import BATCH, inputs, mantle


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Puts a program first into PATH; returns a file that lists the words of each call."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(folder))  # a real scheduler of this machine is out of sight

    def add(name: str, body: str = "") -> Path:
        calls = tmp_path / f"{name}.calls"
        calls.touch()
        program = folder / name
        line = f"printf '%s\\n' \"$*\" >>{shlex.quote(str(calls))}"
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{line}\n{body}\n")
        program.chmod(0o755)
        return calls

    return add


@pytest.fixture
def runs(tmp_path) -> Callable[..., Path]:
    """Renders a run directory into jobs/."""

    def make(name: str = "mantle", site: str = "generic-slurm", *settings: str) -> Path:
        target = tmp_path / "jobs" / name
        target.parent.mkdir(exist_ok=True)
        resolved = mantle(site, f"name={name}", *(() if site == "local" else BATCH), *settings)
        write_run(render(resolved.job, resolved.site, inputs(str(target))), target)
        return target

    return make
