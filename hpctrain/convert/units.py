"""Pieces of work that are done one after the other or by several threads, and only once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol

from hpctrain.convert.journal import Journal


class Progress(Protocol):
    """Who is told how far a conversion is."""

    def begin(self, phase: str, total: int, done: int) -> None:
        """A phase of `total` bytes begins, `done` of which were done before."""

    def advance(self, num_bytes: int) -> None:
        """Some more bytes are done."""


@dataclass(frozen=True)
class Unit:
    """One piece of work."""

    name: str
    """In the journal."""
    num_bytes: int
    """For the progress."""
    run: Callable[[], dict[str, Any]]
    """Does it, and says what the journal keeps."""


def run_units(
    phase: str, units: Sequence[Unit], journal: Journal, workers: int, progress: Progress
) -> None:
    """Do the units that are not done; the first error ends all.

    Args:
        phase: in words, for the progress.
        units: in the order in which they are begun.
        journal: knows what is done, and is told.
        workers: threads.
        progress: is told.
    """
    todo = [unit for unit in units if unit.name not in journal.done]
    total = sum(unit.num_bytes for unit in units)
    progress.begin(phase, total, total - sum(unit.num_bytes for unit in todo))
    running: dict[Future[dict[str, Any]], Unit] = {}
    left = iter(todo)
    with ThreadPoolExecutor(workers) as pool:
        while True:
            # no more are handed over than run: a unit that waits in a queue cannot be called off
            while len(running) < workers and (unit := next(left, None)) is not None:
                running[pool.submit(unit.run)] = unit
            if not running:
                return
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                unit = running.pop(future)
                journal.add(unit.name, future.result())
                progress.advance(unit.num_bytes)
