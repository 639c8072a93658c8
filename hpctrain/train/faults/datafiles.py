"""Data files that vanish or change while they are trained on: looked for after each epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hpctrain.index import Index, Stamp, verify_index
from hpctrain.train.background import Background

_SHARE = 0.01
"""At most this part of the time goes into comparing, as it takes Python's lock from the loop."""


class DataFiles:
    """Compares the files with the run's index, on rank 0, beside the training.

    Sizes and times of change are asked for; a file is read only if its time is another, and once
    for each change.
    """

    def __init__(self, read_index: Callable[[], Index], *, is_main: bool) -> None:
        self._read_index, self._is_main = read_index, is_main
        self._work = Background("data files")
        self._known: dict[Path, Stamp] = {}
        self._next = 0.0

    @property
    def cpu_s(self) -> float:
        """CPU seconds of comparing beside the training, up to now."""
        return self._work.cpu_s

    def check(self) -> None:
        """Begin to compare, unless that is under way or was a moment ago."""
        if self._is_main and not self._work.is_busy and time.monotonic() >= self._next:
            self._work.start(self._compare)

    def look(self) -> None:
        """Take note of a comparison that has ended; costs nothing otherwise.

        Raises:
            DataError: names the first file that is missing or another.
        """
        self._work.look()

    def finish(self) -> None:
        """Compare once more.

        Raises:
            DataError: see `look`.
        """
        self._work.wait()
        if self._is_main:
            self._compare()

    def _compare(self) -> None:
        begin = time.monotonic()
        verify_index(self._read_index(), known=self._known)
        now = time.monotonic()
        self._next = now + (now - begin) / _SHARE
