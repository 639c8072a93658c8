"""Reads many files at once, in processes of its own that know nothing but how to read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
from collections import deque
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
_PIPE_BYTES = 1 << 20
_AHEAD = 8
"""Blocks on the way in such a pipe, so that a process goes on while Python is busy elsewhere."""


class Pool:
    """Hands each line of facts to `take`, in blocks, in any order and from any thread.

    Names may be added while others are read, as long as a folder is listed. Leaving its `with`
    block waits until all are read; leaving it by an exception ends at once.
    """

    def __init__(
        self, root: Path, level: str, take: Callable[[bytes], None], inspect: str = ""
    ) -> None:
        """Read nothing yet.

        Args:
            root: folder that the names are relative to.
            level: none, quick or full.
            take: gets whole lines, see hpctrain.index.files.facts.
            inspect: `module:function` that decodes a file, for `full`.
        """
        self._root, self._level, self._take, self._inspect = root, level, take, inspect
        self._few: list[str] = []
        self._blocks: deque[list[str]] = deque()
        self._changed = threading.Condition()
        self._is_whole = False
        self._error: BaseException | None = None
        self._workers: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        self.num_names = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.wait()
        else:
            self.stop()

    def add(self, names: Sequence[str]) -> None:
        """Read these files, too; processes begin as soon as there are many."""
        self.num_names += len(names)
        self._few += names
        if self._threads or self.num_names > _FEW or (self._inspect and names):
            self._release(self._serve, num_cores(), _blocks(self._few))

    def wait(self) -> None:
        """Until all files are read.

        Raises:
            DataError: a process ended before its work was done.
        """
        try:
            # hashlib releases the interpreter's lock
            self._release(self._read_here, 4, [[name] for name in self._few])
            with self._changed:
                self._is_whole = True
                self._changed.notify_all()
            for thread in self._threads:
                thread.join()
        except BaseException:
            self.stop()
            raise
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End at once; what was read up to now has been taken."""
        with self._changed:
            self._drop()
            for worker in self._workers:
                worker.kill()
        for thread in self._threads:
            thread.join()

    def _release(self, run: Callable[[], None], most: int, blocks: list[list[str]]) -> None:
        """Let threads have blocks; there is a thread for each block, up to `most`."""
        self._few = []
        with self._changed:
            self._blocks.extend(blocks)
            self._changed.notify_all()
        for _ in range(min(most - len(self._threads), len(blocks))):
            thread = threading.Thread(target=self._guard, args=(run,))
            thread.start()  # which the limits of a login node may refuse
            self._threads.append(thread)

    def _next(self, can_wait: bool) -> list[str] | None:
        """A block; None when there is none any more, or for now where nobody can wait."""
        with self._changed:
            while can_wait and not self._blocks and not self._is_whole:
                self._changed.wait()
            return self._blocks.popleft() if self._blocks else None

    def _drop(self) -> None:
        self._blocks.clear()
        self._is_whole = True
        self._changed.notify_all()

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as e:  # noqa: BLE001 - whatever it is, `wait` raises it
            self._error = self._error or e
            with self._changed:
                self._drop()

    def _read_here(self) -> None:
        root_fd = os.open(self._root, os.O_RDONLY)
        try:
            while names := self._next(can_wait=True):
                lines = (read_file(str(self._root), root_fd, n, self._level) for n in names)
                self._take("".join(lines).encode())
        finally:
            os.close(root_fd)

    def _serve(self) -> None:
        """Keep one process busy: the next blocks are sent before an answer is awaited."""
        worker = self._start()
        assert worker.stdin
        assert worker.stdout
        pending, most = 0, _widen(worker)
        try:
            while (names := self._next(can_wait=not pending)) or pending:
                if names:
                    send(worker.stdin, "\n".join(names).encode())
                    pending += 1
                if pending == most or not names:
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
        with self._changed:
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
    """Names in their order, so many in a block that its request fits into a pipe."""
    blocks: list[list[str]] = []
    room = 0
    for name in names:
        room -= len(name.encode()) + 1
        if room < 0 or len(blocks[-1]) == _BLOCK_NAMES:
            blocks.append([])
            room = _BLOCK_BYTES - len(name.encode()) - 1
        blocks[-1].append(name)
    return blocks


def _widen(worker: subprocess.Popen[bytes]) -> int:
    """Let pipes hold more, where the system can and may; returns how many blocks may be on the way.

    All requests on the way must fit into the pipe, as nobody reads answers while one is written.
    """
    try:
        for pipe in (worker.stdin, worker.stdout):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # type: ignore[arg-type]
    except (AttributeError, OSError):
        return 2
    return _AHEAD


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
