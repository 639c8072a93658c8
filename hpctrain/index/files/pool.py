"""Reads many files at once, in processes of its own that know nothing but how to read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import hpctrain
from hpctrain.errors import DataError
from hpctrain.index.files.blocks import ERROR, receive, send
from hpctrain.index.files.reading import read_file

_FEW = 256
"""So few files are read by threads, as a process takes as long to start."""
_BLOCK_NAMES = 256
_BLOCK_BYTES = 32 << 10
"""Bytes of names that are sent at a time; a pipe holds twice as many, so that none waits."""


class Pool:
    """Hands each line of facts to `take`, in blocks, in any order and from any thread."""

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        level: str,
        take: Callable[[bytes], None],
        inspect: str = "",
    ) -> None:
        """Begin to read.

        Args:
            root: folder that the names are relative to.
            names: files.
            level: none, quick or full.
            take: gets whole lines, see hpctrain.index.files.facts.
            inspect: `module:function` that decodes a file, for `full`.
        """
        self._root, self._level, self._take, self._inspect = root, level, take, inspect
        self._blocks = _blocks(names)
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._workers: list[subprocess.Popen[bytes]] = []
        count = min(num_cores(), len(self._blocks))
        run = self._serve
        if len(names) <= _FEW and not inspect:
            # hashlib releases the interpreter's lock
            self._blocks, run, count = [[n] for n in names], self._read_here, min(4, len(names))
        self._threads = [threading.Thread(target=self._guard, args=(run,)) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Until all files are read.

        Raises:
            DataError: a process ended before its work was done.
        """
        try:
            for thread in self._threads:
                thread.join()
        except BaseException:
            self.stop()
            raise
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End at once; what was read up to now has been taken."""
        with self._lock:
            self._blocks.clear()
            for worker in self._workers:
                worker.kill()
        for thread in self._threads:
            thread.join()

    def _next(self) -> list[str] | None:
        with self._lock:
            return self._blocks.pop() if self._blocks else None

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as e:  # noqa: BLE001 - whatever it is, `wait` raises it
            self._error = self._error or e
            with self._lock:
                self._blocks.clear()

    def _read_here(self) -> None:
        root_fd = os.open(self._root, os.O_RDONLY)
        try:
            while names := self._next():
                lines = (read_file(str(self._root), root_fd, n, self._level) for n in names)
                self._take("".join(lines).encode())
        finally:
            os.close(root_fd)

    def _serve(self) -> None:
        """Keep one process busy: the next block is sent before an answer is awaited."""
        worker = self._start()
        assert worker.stdin
        assert worker.stdout
        pending = 0
        try:
            while True:
                names = self._next()
                if names:
                    send(worker.stdin, "\n".join(names).encode())
                    pending += 1
                if not names and not pending:
                    break
                if pending == 2 or not names:
                    self._take(self._answer(worker.stdout))
                    pending -= 1
        except BrokenPipeError as e:
            raise _lost() from e
        finally:
            _end(worker)

    def _answer(self, source: IO[bytes]) -> bytes:
        block = receive(source)
        if block is None:
            raise _lost()
        if block.startswith(ERROR):
            raise DataError(block[len(ERROR) :].decode())
        return block

    def _start(self) -> subprocess.Popen[bytes]:
        package = str(Path(hpctrain.__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
        command = [sys.executable, "-m", "hpctrain.index.files.worker"]
        with self._lock:
            worker = subprocess.Popen(
                [*command, str(self._root), self._level, self._inspect],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            )
            self._workers.append(worker)
        return worker


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _blocks(names: Sequence[str]) -> list[list[str]]:
    """Names in the order in which they are popped: the first ones last."""
    blocks: list[list[str]] = []
    room = 0
    for name in names:
        room -= len(name.encode()) + 1
        if room < 0 or len(blocks[-1]) == _BLOCK_NAMES:
            blocks.append([])
            room = _BLOCK_BYTES - len(name.encode()) - 1
        blocks[-1].append(name)
    return blocks[::-1]


def _end(worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdin
    assert worker.stdout
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.close()
    worker.stdout.close()
    worker.wait()


def _lost() -> DataError:
    return DataError(
        "a process that reads files ended before its work was done (killed, or out of memory); "
        "run the command again: what was read is kept"
    )
