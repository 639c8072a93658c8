"""Sample data whose making is ended from outside."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.commands import environment, hpctrain

WORDS = ("sample", "scroll", "--size", "256,320")


def begin(folder: Path) -> subprocess.Popen:
    """Start, and wait until a part of the files has been written."""
    command = [sys.executable, "-m", "hpctrain", *WORDS, "--out", "data"]
    run = subprocess.Popen(
        command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    for line in run.stderr:
        if "slices scanned" in line:
            return run
    raise AssertionError("it ended before it could be interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_sample__ended_leaves_no_files_and_can_be_made_again(tmp_path, number):
    run = begin(tmp_path)
    run.send_signal(number)
    said = run.communicate(timeout=60)[1]
    assert run.returncode != 0
    assert "Traceback" not in said
    left = [name for name in os.listdir(tmp_path / "data") if not name.startswith(".partial-")]
    assert left == []
    if number == signal.SIGINT:
        assert os.listdir(tmp_path / "data") == []
    done = hpctrain(*WORDS, "--out", "data", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "data: 327 files\n"
