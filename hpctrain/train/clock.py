"""How fast the loop is, and where its time goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from hpctrain.train.phases import Phase, Phases

_MEMORY = 0.95
"""Weight of the past in the running mean of a step's time: about the last twenty steps."""


class Clock:
    """Stopwatch of the loop: everything between two steps' ends, less what is set aside.

    Validation, figures and checkpoints are set aside; logging and looking for stop requests are
    not. On CUDA a step's end may come before its kernels', but no log line does.
    """

    def __init__(
        self,
        global_batch_size: int,
        device: torch.device | None = None,
        beside: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Begin to measure.

        Args:
            global_batch_size: samples a full step.
            device: where the models are; None: the CPU.
            beside: CPU seconds up to now of threads whose work is no part of the steps.
        """
        self._batch, self._beside = global_batch_size, beside
        self._phases = Phases(device)
        self._mark = time.perf_counter()
        self._aside_s = 0.0
        self._cpu_mark = self._now_cpu_s()
        self._cpu_s = 0.0
        self._steps = 0.0
        self._total_s = 0.0
        self._is_warm = False
        self._recent_s = 0.0
        self._all_steps = 0
        self._all_s = 0.0
        self.longest_step_s = 0.0
        self.longest_aside_s = 0.0

    def start(self) -> None:
        """The loop begins."""
        self._mark, self._aside_s = time.perf_counter(), 0.0
        self._cpu_mark = self._now_cpu_s()
        self._phases.begin()

    def mark(self, phase: Phase) -> None:
        """What was done since the last mark belongs to this phase of a step."""
        self._phases.mark(phase)

    def end(self, weight: float = 1.0) -> None:
        """The step is done; its batch was this share of a full one."""
        self._phases.mark("forward_backward")
        now = time.perf_counter()
        step_s = now - self._mark - self._aside_s
        self._mark, self._aside_s = now, 0.0
        self._steps += weight
        self._total_s += step_s
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
        self._phases.mark("other")
        begin = time.perf_counter()
        self._count_cpu()
        try:
            yield
        finally:
            self._cpu_mark = self._now_cpu_s()
            self._phases.begin()
            spent = time.perf_counter() - begin
            self._aside_s += spent
            self.longest_aside_s = max(self.longest_aside_s, spent)

    def seconds(self) -> dict[Phase, float]:
        """Seconds of each phase since the start."""
        return self._phases.seconds()

    def needed_s(self, write_s: float) -> float:
        """Seconds that a step, a copy and a write of the state need, with reserve.

        Args:
            write_s: of the longest write; the one under way may have to be waited for.
        """
        return 3 * self.longest_step_s + 2 * (self.longest_aside_s + write_s)

    @property
    def counted_s(self) -> float:
        """Seconds of all steps but the first."""
        return self._all_s

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

    def take_cpu_s(self) -> float:
        """CPU seconds of this rank's steps since the last call, less what is set aside.

        Those of torch's threads and of those that read data count; those of threads that write
        checkpoints and look at files do not. The threads of TensorBoard and of the start-up do.
        Where others use the machine too, they say more of a training's cost than its seconds.
        """
        self._count_cpu()
        spent, self._cpu_s = self._cpu_s, 0.0
        return spent

    def _count_cpu(self) -> None:
        now = self._now_cpu_s()
        self._cpu_s += now - self._cpu_mark
        self._cpu_mark = now

    def _now_cpu_s(self) -> float:
        return time.process_time() - self._beside()

    def take(self) -> tuple[float, dict[Phase, float]]:
        """Samples a second, and each phase's share of the time, since the last call."""
        speed = self._steps * self._batch / (self._total_s or 1e-9)
        self._steps = 0.0
        self._total_s = 0.0
        return speed, self._phases.take()
