"""What the loop is doing, and since when; the watchdog reads it from its own thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hpctrain.train.task import Position


def _no() -> bool:
    return False


@dataclass
class Stages:
    """Set by the loop at each change; costs less than a microsecond."""

    name: str = "start"
    """"start", "data", "first step", "step", or what the loop does aside."""
    since: float = field(default_factory=time.monotonic)
    at: Position | None = None
    longest_step_s: float = 0.0
    first_step_s: float = 0.0
    is_leaving: Callable[[], bool] = _no
    """Whether the loop was asked to save and leave."""
    _num_samples: int = 0

    def enter(self, name: str) -> None:
        """The loop begins something else."""
        now = time.monotonic()
        spent = now - self.since
        if self.name == "step":
            self.longest_step_s = max(self.longest_step_s, spent)
        elif self.name == "first step":
            self.first_step_s = max(self.first_step_s, spent)
        self.name, self.since = name, now

    def begin_step(self, at: Position, num_samples: int, *, compiles: bool) -> None:
        """A step, or one that may last: the first, and those that may be compiled anew.

        That is where another kind of step may begin, with an epoch, as after a pre-training, or
        with a batch of another size.
        """
        is_new = at.step == 0 or num_samples != self._num_samples
        is_first = self.at is None or (compiles and is_new)
        self.at, self._num_samples = replace(at), num_samples
        self.enter("first step" if is_first else "step")

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """Around what lies within another stage."""
        before = self.name
        self.enter(name)
        try:
            yield
        finally:
            self.enter(before)
