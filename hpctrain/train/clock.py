"""Where the loop's time goes: computing, waiting for data, waiting for other ranks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_MEMORY = 0.95
"""Weight of the past in the running mean of a step's time: about the last twenty steps."""


class Clock:
    """Stopwatch of the loop: everything between two steps' ends, less what is set aside.

    Validation, figures and checkpoints are set aside; logging and looking for stop requests are
    not. On CUDA a step's end may come before its kernels', but no log line does.
    """

    def __init__(self, global_batch_size: int) -> None:
        self._batch = global_batch_size
        self._mark = time.perf_counter()
        self._aside_s = 0.0
        self._asked = 0.0
        self._steps = 0
        self._total_s = self._data_s = self._communication_s = 0.0
        self._is_warm = False
        self._recent_s = 0.0
        self._all_steps = 0
        self._all_s = 0.0
        self.longest_step_s = 0.0
        self.longest_aside_s = 0.0

    def start(self) -> None:
        """The loop begins."""
        self._mark = time.perf_counter()

    def ask(self) -> None:
        """The loop asks for a batch."""
        self._asked = time.perf_counter()

    def data_arrived(self) -> None:
        """The batch is there."""
        self._data_s += time.perf_counter() - self._asked

    def end(self, communication_s: float) -> None:
        """The step is done; it waited `communication_s` for other ranks."""
        now = time.perf_counter()
        step_s = now - self._mark - self._aside_s
        self._mark, self._aside_s = now, 0.0
        self._steps += 1
        self._total_s += step_s
        self._communication_s += communication_s
        self.longest_step_s = max(self.longest_step_s, step_s)
        memory = _MEMORY if self._is_warm and self._recent_s else 0.0
        self._recent_s = memory * self._recent_s + (1 - memory) * step_s
        if self._is_warm:
            self._all_steps += 1
            self._all_s += step_s
        self._is_warm = True  # the first step is not counted: it fills caches and pools

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Around what is no part of a step."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begin
            self._aside_s += spent
            self.longest_aside_s = max(self.longest_aside_s, spent)

    @property
    def mean_step_s(self) -> float:
        """Seconds a step since the start."""
        return self._all_s / self._all_steps if self._all_steps else self._total_s

    @property
    def recent_step_s(self) -> float:
        """Seconds a step lately; phases of a training differ in speed."""
        return self._recent_s

    @property
    def mean_samples_per_s(self) -> float:
        """Samples of all ranks a second since the start."""
        return self._batch / self.mean_step_s if self.mean_step_s else 0.0

    def take(self) -> dict[str, float]:
        """Speed and shares since the last call; starts anew."""
        total = self._total_s or 1e-9
        shares = {
            "samples_per_s": self._steps * self._batch / total,
            "share/data": self._data_s / total,
            "share/communication": self._communication_s / total,
        }
        self._steps = 0
        self._total_s = self._data_s = self._communication_s = 0.0
        return shares
