"""The line a person watches while tiles are computed."""

from __future__ import annotations

import os
import sys
import time

from hpctrain.train.progress import duration

_BATCH_LOG_EVERY_S = 10.0
_TERMINAL_EVERY_S = 0.2
_WIDTH = 30


class TileProgress:
    """Tiles of rank 0, on standard error; a line that rewrites itself on a terminal."""

    def __init__(self, tiles: int, cells: int, *, is_shown: bool) -> None:
        """Begin.

        Args:
            tiles: of rank 0, about: tiles that blocks share are computed more than once.
            cells: output cells of all ranks.
            is_shown: whether anything is printed.
        """
        self._tiles, self._cells, self._is_shown = tiles, cells, is_shown
        told = os.environ.get("HPCTRAIN_TERMINAL")
        self._terminal = sys.stderr.isatty() if told is None else told == "1"
        self._begin = self._last = time.monotonic()
        self._done = 0
        self._is_open = False

    def add(self) -> None:
        """One tile more is done."""
        self._done += 1
        now = time.monotonic()
        every = _TERMINAL_EVERY_S if self._terminal else _BATCH_LOG_EVERY_S
        if not self._is_shown or now - self._last < every:
            return
        self._last = now
        part = min(1.0, self._done / self._tiles)
        passed = now - self._begin
        words = (
            f"{100 * part:3.0f} %  {self._cells * part / passed:.3g} voxels/s  "
            f"{duration(passed / part - passed)} left"
        )
        if self._terminal:
            bar = ("#" * round(_WIDTH * part)).ljust(_WIDTH, "-")
            sys.stderr.write(f"\r\x1b[2K[{bar}] {words}")
            self._is_open = True
        else:
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._is_open:
            self._is_open = False
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
