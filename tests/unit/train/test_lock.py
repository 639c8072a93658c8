"""One start at a time."""

import subprocess
import sys

import pytest

from hpctrain.errors import BusyError, TrainError
from hpctrain.train.lock import RunLock

HOLD = """
import sys
from pathlib import Path
from hpctrain.train.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run_dir(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path


@pytest.fixture
def holder(run_dir):
    command = [sys.executable, "-c", HOLD, str(run_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process


def test_lock__the_second_start_is_told_who_has_it(run_dir, holder):
    with pytest.raises(BusyError, match=rf"training already .*process {holder.pid},"):
        RunLock(run_dir)


def test_lock__ends_with_its_process_however_that_dies(run_dir, holder):
    holder.kill()
    holder.wait()
    RunLock(run_dir).release()


def test_lock__released_and_taken_again(run_dir):
    RunLock(run_dir).release()
    RunLock(run_dir).release()


def test_lock__folder_that_cannot_be_written(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(TrainError, match=r"\.lock: cannot be written \(Not a directory\)"):
        RunLock(tmp_path)
