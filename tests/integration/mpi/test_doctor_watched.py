"""Programs that hang, that leave others behind, and folders that are measured."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from hpctrain.doctor import disk, storage
from hpctrain.doctor.storage import storage_topic
from hpctrain.doctor.watched import watch


def is_gone(pid: int) -> bool:
    """Whether a process that was killed ends soon."""
    end = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_watch__words_and_code() -> None:
    done = watch(["sh", "-c", "cat; echo oops >&2; exit 3"], 10, stdin="hello\n")
    assert (done.code, done.out, done.err) == (3, "hello\n", "oops\n")
    assert done.words == ["hello", "oops"]


def test_watch__late_program_and_its_children_are_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"trap '' TERM; setsid sh -c 'echo $$ >{note}; exec sleep 4322' & sleep 4322"
    began = time.monotonic()
    done = watch(["sh", "-c", script], 1.5)
    assert done.code is None
    assert not done.is_stuck
    assert time.monotonic() - began < 30
    assert is_gone(int(note.read_text()))


def test_watch__child_that_keeps_the_output_open_holds_nothing_up(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began = time.monotonic()
    done = watch(["sh", "-c", f"sleep 4323 & echo $! >{note}; echo done"], 60)
    assert (done.code, done.out) == (0, "done\n")
    assert time.monotonic() - began < 30
    assert is_gone(int(note.read_text())), "what it left in its group goes, too"


def test_disk__measures_and_leaves_nothing(tmp_path: Path) -> None:
    done = watch([sys.executable, str(Path(disk.__file__)), str(tmp_path), "0.5"], 60)
    page = json.loads(done.out)
    assert page["folder"] == os.path.realpath(tmp_path)
    assert page["write"]["bytes_per_s"] > 0
    assert page["rename"]["count"] >= 1
    assert page["type"]
    assert not list(tmp_path.iterdir())


def test_storage__one_folder_for_two_purposes_is_measured_once(tmp_path: Path) -> None:
    topic = storage_topic({"runs": tmp_path / "jobs", "cache": tmp_path / "cache"})
    assert [line.name for line in topic.lines] == ["runs", "cache"]
    assert topic.lines[1].text == f"{tmp_path}: see runs"


def test_storage__dead_file_system_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(4324)")
    monkeypatch.setattr(storage, "_PROGRAM", tmp_path / "slow.py")
    monkeypatch.setattr(storage, "_LIMIT_S", 0.5)
    (line,) = storage_topic({"runs": tmp_path}).lines
    assert line.severity == "error"
    assert "does not answer within" in line.text
