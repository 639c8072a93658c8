"""Reasons to stop early: a signal, a STOP file, the deadline; agreed on by all ranks."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from hpctrain.comm import Communicator

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
_POLL_S = 0.25


def forget_old(run_dir: Path) -> None:
    """Take away a STOP file that was there when the run script began; called with the lock held."""
    path, old = run_dir / "STOP", os.environ.get("HPCTRAIN_OLD_STOP")
    with suppress(OSError):
        changed = path.stat().st_mtime_ns
        if old == f"{changed // 10**9}.{changed % 10**9:09d}":
            path.unlink()


class StopRequest:
    """Whether to save and leave at the next step boundary.

    Signal handlers only set a flag. `ask` starts the exchange at the beginning of a step and
    `agreed` ends it after the step, so that it costs the loop no waiting.
    """

    def __init__(self, comm: Communicator, run_dir: Path) -> None:
        self.comm = comm
        self.reason = ""
        self._file = run_dir / "STOP"
        self._deadline = float(os.environ.get("HPCTRAIN_DEADLINE") or "inf")
        self._margin_s = 30.0
        self._next_poll = 0.0
        self._vote = comm.vote()
        self._previous = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.reason = f"signal {signal.Signals(number).name}"

    def needs(self, seconds: float) -> None:
        """Leave at least this long before the deadline (a step and a checkpoint, with reserve)."""
        self._margin_s = max(self._margin_s, seconds)

    def look(self) -> str:
        """Why this rank wants to stop, if it does; where ranks tell each other in their own way."""
        self._look()
        return self.reason

    def ask(self) -> None:
        """Begin to tell the other ranks what this one wants."""
        self._look()
        if self.comm.world_size == 1:
            return
        self._vote.ask(bool(self.reason))

    def agreed(self) -> bool:
        """True on all ranks, or on none."""
        if self.comm.world_size == 1:
            return bool(self.reason)
        if not self._vote.answer():
            return False
        self.reason = self.reason or "another rank's request"
        return True

    def close(self) -> None:
        """Put the signal handlers back; the run script takes a STOP file away at the next start."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _look(self) -> None:
        now = time.monotonic()
        if self.reason or self.comm.rank != 0 or now < self._next_poll:
            return  # one rank looking at the file system is enough
        self._next_poll = now + _POLL_S
        if self._file.exists():
            self.reason = f"the file {self._file.name}"
        elif time.time() + self._margin_s > self._deadline:
            self.reason = "the deadline"
