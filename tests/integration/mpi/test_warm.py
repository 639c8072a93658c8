"""Warm ranks are as other processes to those who start, signal and end them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.commands import environment
from tests.runs import wait_until
from tests.warm import variables

TRAINER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print(os.getpid(), "torch" in sys.modules, os.environ["ODD"], sys.argv[1:], flush=True)
if sys.argv[1] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60 if sys.argv[1] == "wait" else 0)
sys.exit(75)
"""
Start = Callable[[str], tuple["subprocess.Popen[str]", int]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a trainer as rank.sh would; gives its process and the process of the fork."""
    (tmp_path / "hpctrain").mkdir()
    (tmp_path / "hpctrain" / "__init__.py").touch()
    (tmp_path / "hpctrain" / "train.py").write_text(TRAINER)

    def call(word: str) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-m", "hpctrain.train", word, "a b"]
        env = environment(**variables(str(tmp_path)), ODD="$HOME ü")
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        with process.stdout as out:
            said = out.readline().rstrip("\n")
        pid = said.split()[0]
        assert said == f"{pid} True $HOME ü {[word, 'a b']}"
        return process, int(pid)

    return call


def test_warm__exit_code_and_signal_are_those_of_the_fork(start: Start) -> None:
    for word, expected in (("exit", 75), ("die", -signal.SIGKILL)):
        process, pid = start(word)
        assert process.wait(timeout=60) == expected
        assert process.pid != pid


def test_warm__signals_reach_the_fork_and_it_ends_with_its_process(start: Start) -> None:
    process, pid = start("wait")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 3
    process, pid = start("wait")
    process.kill()
    process.wait(timeout=60)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 30)
