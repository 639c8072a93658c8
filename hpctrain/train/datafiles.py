"""Data files that vanish or change while they are trained on: looked for after each epoch."""

from __future__ import annotations

from pathlib import Path

from hpctrain.index import Stamp, read_index, verify_index
from hpctrain.train.background import Background


class DataFiles:
    """Compares the files with the run's index, on rank 0, beside the training.

    Sizes and times of change are asked for; a file is read only if its time is another, and once
    for each change.
    """

    def __init__(self, run_dir: Path, *, is_main: bool) -> None:
        self._run_dir, self._is_main = run_dir, is_main
        self._work = Background("data files")
        self._known: dict[Path, Stamp] = {}

    def check(self) -> None:
        """Begin to compare, unless that is under way."""
        if self._is_main and not self._work.is_busy:
            self._work.start(lambda: verify_index(read_index(self._run_dir), known=self._known))

    def look(self) -> None:
        """Take note of a comparison that has ended; costs nothing otherwise.

        Raises:
            DataError: names the first file that is missing or another.
        """
        self._work.look()

    def finish(self) -> None:
        """Return when the comparison has ended.

        Raises:
            DataError: see `look`.
        """
        self._work.wait()
