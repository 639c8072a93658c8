"""benchmarks/namespaces.py: names of files as people give them, and an mpirun that does not end."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.jobs import REPO
from tests.runs import wait_until

SCRIPT = REPO / "benchmarks" / "namespaces.py"
ANSWER = '{"65536": 1.0, "1048576": 2.0, "4194304": 3.0, "16777216": 4.0}'


def add(folder: Path, name: str, body: str) -> Path:
    """A program."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("namespaces_benchmark", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_namespaces__relative_names(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x.sif").touch()
    add(tmp_path / "bin", "apptainer", "exit 1")
    find = 'for word; do case $word in *x.sif) [ -e "$word" ] || exit 3;; esac; done'
    add(tmp_path / "mpi", "mpirun", f"{find}\necho 'RESULT {ANSWER}'")
    words = ["images/x.sif", "--mpirun", "mpi/mpirun", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["ratio", *["1.00"] * 4]


def is_there(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("word", ["", "trap '' TERM"])
def test_namespaces__an_mpirun_that_hangs_is_ended(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    body = f"{word}\nsleep 60 & echo $! >{tmp_path}/rank\necho $$ >{tmp_path}/mpirun\nwait; wait"
    path, began = add(tmp_path / "mpi", "mpirun", body), time.monotonic()
    monkeypatch.setattr(script, "GRACE_S", 0.5)
    assert script.measure(str(path), "x.sif", "one each, none", 1.0) == "hangs"
    assert time.monotonic() - began < 30
    for name in ("mpirun", "rank"):
        pid = int((tmp_path / name).read_text())
        wait_until(lambda pid=pid: not is_there(pid), 20)
