"""One start at a time."""

import errno
import os
import resource
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from hpctrain.errors import BusyError, LaunchError, TrainError
from hpctrain.train.faults.lock import RunLock

HOLD = """
import sys
from pathlib import Path
from hpctrain.train.faults.lock import RunLock
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


@pytest.fixture
def no_locks(monkeypatch):
    """A file system that knows no locks."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", refuse)
    monkeypatch.setattr("hpctrain.train.faults.lock._SETTLE_S", 0.0)


def test_lock__without_locks_the_note_of_a_living_holder_counts(run_dir, no_locks):
    (run_dir / "logs" / ".lock").write_text("host elsewhere, process 1, before\n")
    with pytest.raises(BusyError, match="elsewhere, process 1, before.*start again in 180 s"):
        RunLock(run_dir)


def test_lock__without_locks_a_silent_holder_is_taken_for_dead(run_dir, no_locks):
    note = run_dir / "logs" / ".lock"
    note.write_text("host elsewhere, process 1, before\n")
    os.utime(note, (1, 1))
    lock = RunLock(run_dir)
    lock.beat()
    note.write_text("host elsewhere, process 2, other\n")
    lock._next_beat = 0.0
    with pytest.raises(LaunchError, match="another start .*process 2.* has taken this run"):
        lock.beat()
    lock.release()


def test_lock__without_locks_a_dead_process_of_this_host_holds_nothing(run_dir, no_locks):
    note = run_dir / "logs" / ".lock"
    note.write_text(f"host {socket.gethostname()}, process 99999999, before\n")
    RunLock(run_dir).release()


def test_lock__without_locks_a_number_of_this_host_may_be_anothers_by_now(run_dir, no_locks):
    note = run_dir / "logs" / ".lock"
    note.write_text(f"host {socket.gethostname()}, process {os.getppid()}, before\n")
    with pytest.raises(BusyError, match="training already"):
        RunLock(run_dir)
    os.utime(note, (1, 1))
    RunLock(run_dir).release()


def test_lock__without_locks_this_processs_own_number_was_a_dead_ones(run_dir, no_locks):
    note = run_dir / "logs" / ".lock"
    note.write_text(f"host {socket.gethostname()}, process {os.getpid()}, before\n")
    RunLock(run_dir).release()


def test_lock__without_locks_a_note_that_cannot_be_read_ends_nothing(run_dir, no_locks):
    lock = RunLock(run_dir)
    (run_dir / "logs" / ".lock").write_text("")  # so it is while the other start writes it
    lock.beat()
    lock.release()


def test_lock__without_locks_one_that_was_robbed_leaves_the_new_note(run_dir, no_locks):
    lock = RunLock(run_dir)
    note = run_dir / "logs" / ".lock"
    note.write_text("host elsewhere, process 2, other\n")
    lock.release()
    assert note.read_text() == "host elsewhere, process 2, other\n"


@contextmanager
def full_disk():
    """Files can be made and not filled; pytest's own, too, so not around a whole test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lock__without_locks_a_note_that_cannot_be_written(run_dir, no_locks):
    message = r"\.lock: cannot be written \(File too large\)"
    with pytest.raises(TrainError, match=message), full_disk():
        RunLock(run_dir)


def test_lock__of_the_kernel_holds_without_its_note(run_dir):
    with full_disk():
        RunLock(run_dir).release()


def test_lock__a_silent_holder_of_the_kernels_lock_is_never_robbed(run_dir, holder):
    os.utime(run_dir / "logs" / ".lock", (1, 1))
    with pytest.raises(BusyError, match=r"no sign of life for \d+ d: if that process or its host"):
        RunLock(run_dir)
