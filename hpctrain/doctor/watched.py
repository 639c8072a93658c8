"""Run a program that may hang: after its time is up it is ended, with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_GRACE_S = 3.0
"""Between being asked to go and being killed; mpirun takes its ranks on other nodes along."""
_STUCK_S = 2.0
"""How long a killed program is waited for: one in a dead file system never goes."""
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        code: its exit code, minus the signal; None: its time was up.
        out: the end of its standard output.
        err: the end of its standard error.
        seconds: how long it took.
        is_stuck: it could not even be killed.
    """

    code: int | None
    out: str
    err: str
    seconds: float
    is_stuck: bool = False

    @property
    def words(self) -> list[str]:
        """Lines of all that it said, errors last."""
        return [line for line in f"{self.out}\n{self.err}".splitlines() if line.strip()]


def watch(
    argv: Sequence[str],
    limit_s: float,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Outcome:
    """Run a program for `limit_s` at most.

    Its output goes to files: what is left of its children could keep a pipe open for ever.

    Raises:
        OSError: it cannot be started.
    """
    began = time.monotonic()
    with (
        tempfile.TemporaryFile() as words_in,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        words_in.write(stdin.encode())
        words_in.seek(0)
        process = subprocess.Popen(  # noqa: S603 - words of ours, no shell
            argv, cwd=cwd, env=env, stdin=words_in, stdout=out, stderr=err, start_new_session=True
        )
        try:
            code: int | None = process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            is_stuck = not _end(process)
        seconds = time.monotonic() - began
        return Outcome(code, _tail(out), _tail(err), seconds, is_stuck)


def _end(process: subprocess.Popen[bytes]) -> bool:
    """End a program and its children; whether all could be killed."""
    if process.poll() is not None:
        _kill(process, [], signal.SIGKILL)  # what it left behind in its group
        return True
    family = list(_descendants(process.pid))
    _kill(process, [], signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_GRACE_S)
    # a launcher gives its ranks groups of their own, and may die without them
    family += _descendants(process.pid)
    _kill(process, family, signal.SIGKILL)
    try:
        process.wait(timeout=_STUCK_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes], family: Sequence[int], sign: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, sign)
    for pid in family:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, sign)


def _descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # "pid (name) state parent ...", and the name may hold anything
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    todo = [pid]
    while todo:
        own = children.get(todo.pop(), [])
        yield from own
        todo += own


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _MOST_BYTES))
    text = file.read().decode(errors="replace")
    # half of a line may be half of a secret, which nobody knows again
    return text.partition("\n")[2] if size > _MOST_BYTES else text
