"""containers/build_horovod.sh where it cannot build: said before minutes are spent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.jobs import REPO


def build(tmp_path: Path, mpicxx: str | None) -> subprocess.CompletedProcess[str]:
    """The script with a stand-in of mpicxx before all others in PATH, or with none at all."""
    programs = tmp_path / "bin"
    programs.mkdir()
    if mpicxx is not None:
        (programs / "mpicxx").write_text(f"#!/bin/sh\n{mpicxx}\n")
        (programs / "mpicxx").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}" if mpicxx is not None else str(programs)
    return subprocess.run(
        ["/bin/sh", str(REPO / "containers/build_horovod.sh"), sys.executable, str(tmp_path / "c")],
        env={"PATH": path, "HOME": str(tmp_path)},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_an_mpicxx_without_headers_is_named(tmp_path: Path) -> None:
    """Debian's openmpi-bin has mpicxx and no mpi.h: CMake would fail on it without a reason."""
    done = build(tmp_path, "echo 'fatal error: mpi.h: No such file' >&2; exit 1")
    assert done.returncode == 1
    assert f"{tmp_path}/bin/mpicxx finds no mpi.h" in done.stderr
    assert "libopenmpi-dev" in done.stderr
    assert not (tmp_path / "c").exists()
    assert done.stdout == ""


def test_no_mpicxx_is_said(tmp_path: Path) -> None:
    done = build(tmp_path, None)
    assert done.returncode == 1
    assert "no mpicxx in PATH" in done.stderr
