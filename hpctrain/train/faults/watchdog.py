"""Ends a training that hangs, with the stacks of all ranks, and one that its launcher has left.

A thread of each rank looks once a second at how long the loop has been in its present stage. The
kernel's alarm clock writes the stacks where the thread itself cannot run, because a library holds
Python's lock.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, NoReturn

from hpctrain.comm import Ranks
from hpctrain.errors import LaunchError, TrainError
from hpctrain.log import logger
from hpctrain.train.faults import failure, hang, launcher
from hpctrain.train.faults.hang import Board, Sign
from hpctrain.train.faults.stages import Stages
from hpctrain.train.run import Run

_TICK_S = 1.0
_STEPS = 10.0
"""A step is allowed so many times the longest one so far,"""
_FIRST_STEPS = 3.0
"""the second so many times the first, which may have compiled,"""
_ASIDE = 10.0
"""What is no plain step is allowed so many times `train.watchdog_s`, and at least:"""
_ASIDE_S = 300.0
_START_S = 3600.0
"""Reading and checking all data at the start is allowed this long."""
_PATIENCE_S = 4.0
"""How long a rank that waits in an exchange looks for another's sign that it is busy."""
_ORPHAN_S = 3.0
_ORPHAN_SAVES_S = 60.0
"""How long a rank stays without its launcher: to tell its own fault, and to save."""


class Watchdog:
    """Each rank has one.

    Args:
        run: where the stacks and signs go.
        ranks: this rank.
        hosts: host of every rank.
        stages: what the loop is doing.
        on_tick: called once a second, in the thread.
    """

    def __init__(
        self,
        run: Run,
        ranks: Ranks,
        hosts: Sequence[str],
        stages: Stages,
        on_tick: Callable[[], None] | None,
    ) -> None:
        self._run, self._ranks, self._hosts, self._on_tick = run, ranks, hosts, on_tick
        self._stages = stages
        self._limit_s = run.job.train.watchdog_s
        self._board = Board(run.path / "logs", ranks)
        self._seen: dict[int, str] = {}
        self._excused = 0.0
        self._lonely_since: float | None = None
        self._is_closed = threading.Event()
        self._stacks: IO[str] | None = None
        if self._limit_s:
            self._stacks = self._board.open_stacks()
            faulthandler.register(signal.SIGALRM, self._stacks, all_threads=True)
            self._arm()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The training is over; an orderly end takes the empty files away."""
        self._is_closed.set()
        self._thread.join()
        if self._limit_s:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            faulthandler.unregister(signal.SIGALRM)
        self._board.close()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._is_closed.wait(_TICK_S):
            now = time.monotonic()
            # a long gap: the whole process was halted, as by a scheduler that suspends jobs
            if now - last > 5 * _TICK_S:
                self._stages.since += now - last
            last = now
            try:
                self._look(now)
            except LaunchError as e:  # the run is another's now, and so is its state.json
                logger.error("%s", e)
                os._exit(e.exit_code)

    def _look(self, now: float) -> None:
        if self._on_tick is not None:
            with suppress(OSError):
                self._on_tick()
        self._look_for_launcher(now)
        if not self._limit_s:
            return
        spent, allowed = now - self._stages.since, self._allowed(self._stages.name)
        self._arm()
        if spent < 0.5 * self._limit_s:
            self._board.clear_busy()
            return
        if self._stages.name != "step":
            self._board.say_busy(f"{self._stages.name} {spent:.0f}")
        if self._board.has_alarm() or (spent > allowed and not self._is_excused(now, spent)):
            self._end(spent)

    def _allowed(self, stage: str) -> float:
        if stage == "step":
            longest, first = self._stages.longest_step_s, self._stages.first_step_s
            return max(self._limit_s, _STEPS * longest if longest else _FIRST_STEPS * first)
        return _START_S if stage == "start" else max(_ASIDE_S, _ASIDE * self._limit_s)

    def _is_excused(self, now: float, spent: float) -> bool:
        """Whether another rank is busy with something that may last, and this one waits for it."""
        if self._stages.name != "step" or spent > self._allowed("aside"):
            return False
        busy = self._board.busy()
        if not self._excused or busy.items() - self._seen.items():
            self._excused = now
        self._seen = busy
        return now - self._excused < _PATIENCE_S

    def _arm(self) -> None:
        """Let the kernel, and a thread without Python, write the stacks where this one cannot.

        Both count from now, so that they strike only when this thread does not come back. With
        other ranks it is they that end the job, and no sooner than after `train.watchdog_s`.
        """
        signal.setitimer(signal.ITIMER_REAL, self._limit_s + 2 * _TICK_S)
        if self._ranks.world_size == 1 and self._stacks is not None:
            patience = self._allowed("aside")
            faulthandler.dump_traceback_later(patience, file=self._stacks, exit=True)

    def _end(self, spent: float) -> NoReturn:
        """Write this rank's stacks and sign; the lowest rank that can tells what the signs say."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        place, is_waiting = hang.where(sys._current_frames()[threading.main_thread().ident or 0])
        at = self._stages.at
        step = (at.epoch + 1, at.step + 1) if at else (0, 0)
        sign = Sign(
            self._ranks.rank, self._ranks.host, self._stages.name, *step, spent, place, is_waiting
        )
        self._board.write_sign(sign)
        if self._stacks is not None:
            with suppress(OSError):
                self._stacks.write(f"{sign}\n")
                self._stacks.flush()
            faulthandler.dump_traceback(self._stacks, all_threads=True)
        signs = self._board.gather(self._ranks.world_size)
        message = hang.verdict(signs, self._hosts, self._run.path / "logs")
        self._leave(message, place=min(signs, default=self._ranks.rank))

    def _look_for_launcher(self, now: float) -> None:
        if not launcher.is_gone():
            return
        self._lonely_since = self._lonely_since or now
        patience = _ORPHAN_SAVES_S if self._stages.is_leaving() else _ORPHAN_S
        if now - self._lonely_since > patience:
            self._leave(failure.LAUNCHER_GONE, place=0)

    def _leave(self, message: str, place: int) -> NoReturn:
        """End this process; `place` is the rank that need not wait for a lower one to speak."""
        code = TrainError.exit_code
        if self._ranks.rank != place:
            failure.let_others_speak(self._ranks)
        try:
            if not failure.is_told(self._run.path):
                logger.error("%s", message)
                failure.remember(self._run.path, f"{self._ranks} {message}", code)
            sys.stderr.flush()
        finally:
            os._exit(code)
