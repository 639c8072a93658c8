"""One piece of slow work beside the training, at most one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Background:
    """Does work in a thread; its outcome is asked for by the loop, and so are its errors."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._done: Callable[[], None] | None = None
        self._error: BaseException | None = None
        self.longest_s = 0.0
        """Seconds that the longest piece of work took."""
        self._lock = threading.Lock()
        self._clock: int | None = None
        self._cpu_s = 0.0

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all its work up to now; 0 where threads have no clock of their own."""
        with self._lock:  # while it is held the thread cannot end, and its clock with it
            now = 0.0 if self._clock is None else time.clock_gettime(self._clock)
            return self._cpu_s + now

    @property
    def is_busy(self) -> bool:
        """True until the end of the work was taken note of."""
        return self._thread is not None

    def start(self, work: Callable[[], Callable[[], None] | None]) -> None:
        """Begin the work, when what is under way has ended.

        Args:
            work: called in the thread; what it returns is called by the loop's next `look`.

        Raises:
            Exception: what the work before has raised.
        """
        self.wait()
        # a daemon: a process that must end at once is not held up by a file system that hangs
        self._thread = threading.Thread(
            target=self._run, args=(work,), name=self._name, daemon=True
        )
        self._thread.start()

    def look(self) -> None:
        """Take note of work that has ended; costs nothing otherwise.

        Raises:
            Exception: what the work has raised.
        """
        if self._thread is not None and not self._thread.is_alive():
            self.wait()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when nothing is under way, or after the timeout.

        Raises:
            Exception: what the work has raised.
        """
        if self._thread is None:
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return
        self._thread = None
        error, done = self._error, self._done
        self._error = self._done = None
        if error is not None:
            raise error
        if done is not None:
            done()

    def _run(self, work: Callable[[], Callable[[], None] | None]) -> None:
        begin = time.perf_counter()
        if hasattr(time, "pthread_getcpuclockid"):
            self._clock = time.pthread_getcpuclockid(threading.get_ident())
        try:
            self._done = work()
        except BaseException as e:  # raised by the loop
            self._error = e
        self.longest_s = max(self.longest_s, time.perf_counter() - begin)
        with self._lock:
            if self._clock is not None:
                self._cpu_s += time.clock_gettime(self._clock)
                self._clock = None
