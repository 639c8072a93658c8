"""A server of the PBS stand-in (tests/fake_bin) for each test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import environment
from tests.runs import SmallRun, make_small, wait_until

FAKE_BIN = Path(__file__).resolve().parents[2] / "fake_bin"
Done = subprocess.CompletedProcess


class Pbs:
    """Commands of the stand-in, as a user on a login node calls them."""

    def __init__(self, root: Path) -> None:
        """Its state lies in `root`."""
        self.root = root
        self.env = environment(FAKE_PBS=str(root))
        self.env["PATH"] = f"{FAKE_BIN}{os.pathsep}{self.env['PATH']}"

    def call(self, *words: str, cwd: Path | None = None) -> Done[str]:
        """Run a command."""
        return subprocess.run(
            words, cwd=cwd or self.root, env=self.env, capture_output=True, text=True, timeout=60
        )

    def hpctrain(self, *words: str, cwd: Path) -> str:
        """Run `hpctrain WORDS`, which must go well; returns what it printed."""
        done = self.call(sys.executable, "-m", "hpctrain", *words, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def qsub(self, script: str, *options: str) -> str:
        """Hand in a script of this text; returns its job id."""
        path = self.root / "script.sh"
        path.write_text(script)
        done = self.call("qsub", *options, str(path))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refusal(self, script: str, *options: str) -> tuple[int, str]:
        """Hand in what must be refused; returns exit code and words."""
        path = self.root / "script.sh"
        path.write_bytes(script.encode())
        done = self.call("qsub", *options, str(path))
        assert done.returncode != 0, done.stdout
        return done.returncode, done.stderr.strip()

    def job(self, job_id: str) -> dict[str, Any]:
        """What qstat says of a job."""
        done = self.call("qstat", "-x", "-f", "-F", "json", job_id)
        return json.loads(done.stdout)["Jobs"][job_id]  # type: ignore[no-any-return]

    def wait(self, job_id: str, state: str = "F", seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a job is in a state."""
        wait_until(lambda: self.job(job_id)["job_state"] == state, seconds)
        return self.job(job_id)

    def end_all(self) -> None:
        """Leave no job behind."""
        for path in (self.root / "jobs").glob("*.json"):
            self.call("qdel", path.stem)
        for path in (self.root / "jobs").glob("*.json"):
            wait_until(lambda p=path: json.loads(p.read_text())["job_state"] == "F", 20)  # type: ignore[misc]


@pytest.fixture
def pbs(tmp_path: Path) -> Iterator[Pbs]:
    """A server of the stand-in."""
    root = tmp_path / "pbs"
    root.mkdir()
    server = Pbs(root)
    yield server
    server.end_all()


@pytest.fixture
def small(tmp_path: Path) -> SmallRun:
    """A folder with data and a job file."""
    return make_small(tmp_path)
