"""The line a person watches: rewritten on a terminal, plain lines in a batch log."""

from __future__ import annotations

import os
import sys
import time

_BATCH_LOG_EVERY_S = 10.0


class Progress:
    """Epoch, step, loss, speed and time left, on standard output of rank 0."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        # mpirun may give ranks a pseudo-terminal of its own, so the run script says what it has
        told = os.environ.get("HPCTRAIN_TERMINAL")
        self._terminal = sys.stdout.isatty() if told is None else told == "1"
        self._last = 0.0
        self._is_open = False

    def show(
        self,
        epoch: int,
        steps: tuple[int, int],
        losses: dict[str, float],
        samples_per_s: float,
        eta_s: float,
    ) -> None:
        """Show the state in `epoch` (from 0): steps done, and all of that epoch."""
        now = time.monotonic()
        step, num_steps = steps
        last_of_epoch = step == num_steps
        if not self._terminal and not last_of_epoch and now - self._last < _BATCH_LOG_EVERY_S:
            return
        self._last = now
        numbers = "  ".join(f"{key} {value:.4g}" for key, value in losses.items())
        line = (
            f"epoch {epoch + 1}/{self.epochs}  step {step:>{len(str(num_steps))}}"
            f"/{num_steps}  {numbers}  {samples_per_s:.1f} samples/s  "
            f"{duration(eta_s)} left"
        )
        if self._terminal:
            sys.stdout.write(f"\r\x1b[2K{line}")
            self._is_open = True
            if last_of_epoch:
                self.end_line()
        else:
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        sys.stdout.flush()

    def end_line(self) -> None:
        """Leave the line as it stands, before something else is printed."""
        if self._is_open:
            self._is_open = False
            sys.stdout.write("\n")
            sys.stdout.flush()


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as 1:02:03 or 2:03."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
