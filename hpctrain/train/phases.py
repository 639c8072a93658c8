"""What a step's time goes into: data, forward and backward, communication, optimizer, other."""

from __future__ import annotations

import time
from typing import Any, Literal

import torch

Phase = Literal["data", "forward_backward", "communication", "optimizer", "other"]
PHASES: tuple[Phase, ...] = ("data", "forward_backward", "communication", "optimizer", "other")


class Phases:
    """Stopwatch with one hand: all time since the last mark belongs to the phase that is named.

    On CUDA the marks are events on the current stream, read once they have passed, so that nothing
    waits for the device. Then the times are the device's: a phase counts if the device works on it
    or idles in it, and the loop running ahead of the device costs nothing.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._is_cuda = device is not None and device.type == "cuda"
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._taken = dict.fromkeys(PHASES, 0.0)
        self._last = 0.0
        self._events: list[tuple[Phase | None, Any]] = []
        self._free: list[Any] = []
        self.begin()

    def begin(self) -> None:
        """Time counts from now on; what was since the last mark belongs to no phase."""
        if self._is_cuda:
            self._record(None)
        else:
            self._last = time.perf_counter()

    def mark(self, phase: Phase) -> None:
        """The time since the last mark or `begin` belongs to this phase."""
        if self._is_cuda:
            self._record(phase)
            return
        now = time.perf_counter()
        self._seconds[phase] += now - self._last
        self._last = now

    def seconds(self) -> dict[Phase, float]:
        """Seconds of each phase since the beginning."""
        if self._is_cuda:
            self._read()
        return dict(self._seconds)

    def take(self) -> dict[Phase, float]:
        """Share of each phase since the last call, with a sum of 1."""
        now = self.seconds()
        new = {phase: seconds - self._taken[phase] for phase, seconds in now.items()}
        self._taken = now
        total = sum(new.values())
        return {phase: seconds / total for phase, seconds in new.items()} if total else {}

    def _record(self, phase: Phase | None) -> None:
        event = self._free.pop() if self._free else torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._events.append((phase, event))

    def _read(self) -> None:
        """Add up what has passed on the device; the rest is read next time."""
        while len(self._events) > 1 and self._events[1][1].query():
            (_, first), (phase, second) = self._events[:2]
            if phase is not None:
                self._seconds[phase] += 1e-3 * first.elapsed_time(second)
            self._free.append(first)
            del self._events[0]
