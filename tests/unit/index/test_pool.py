"""Files that are read while others are still being listed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hpctrain.errors import DataError
from hpctrain.index.files import pool as pool_module
from hpctrain.index.files.pool import Pool

MANY = 600
"""More than threads read by themselves."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i in range(MANY):
        (tmp_path / f"{i}.txt").write_text(f"file {i}\n")
    return tmp_path


@pytest.mark.parametrize("num", [3, MANY])
def test_add__in_parts_reads_each_file_once(root: Path, num: int) -> None:
    lines: list[bytes] = []
    names = [f"{i}.txt" for i in range(num)]
    with Pool(root, "none", lines.append) as pool:
        for begin in range(0, num, 100):
            pool.add(names[begin : begin + 100])
            pool.add([])
    found = [line.split("\t")[0] for line in b"".join(lines).decode().splitlines()]
    assert sorted(found) == sorted(names)
    assert pool.num_names == num


@pytest.mark.parametrize("num", [3, MANY])
def test_add__an_error_between_parts_leaves_nothing_running(root: Path, num: int) -> None:
    threads = set(threading.enumerate())
    pool = Pool(root, "none", lambda _: None)

    def list_and_fail() -> None:
        with pool:
            pool.add([f"{i}.txt" for i in range(num)])
            raise DataError("no such folder")

    with pytest.raises(DataError, match="no such folder"):
        list_and_fail()
    assert set(threading.enumerate()) == threads
    assert all(worker.poll() is not None for worker in pool._workers)
    assert bool(pool._workers) == (num == MANY)


def test_take__an_error_is_raised_after_the_rest_was_stopped(root: Path) -> None:
    def take(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    pool = Pool(root, "none", take)
    pool.add([f"{i}.txt" for i in range(MANY)])
    with pytest.raises(OSError, match="No space"):
        pool.wait()
    assert all(worker.poll() is not None for worker in pool._workers)


@pytest.mark.parametrize("num", [3, MANY])
def test_threads__that_cannot_be_started_end_the_others(
    root: Path, num: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Login nodes limit threads and processes."""
    before, start = set(threading.enumerate()), threading.Thread.start
    started: list[threading.Thread] = []

    def limited(self: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    def read_all() -> None:
        with Pool(root, "none", lambda _: None) as pool:
            pool.add([f"{i}.txt" for i in range(num)])

    monkeypatch.setattr(pool_module, "num_cores", lambda: 2)
    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        read_all()
    assert set(threading.enumerate()) == before
