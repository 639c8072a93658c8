"""A file that has its name only once it is whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO


class WholeFile:
    """Written under a scratch name beside its place, hashed on the way, renamed when finished.

    Attributes:
        end: bytes written so far.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is made before the first `write`."""
        self.path = path
        self._scratch = path.with_name(path.name + ".part")
        self._file: BinaryIO | None = None
        self._sha = hashlib.sha256()
        self.end = 0

    def write(self, data: Any) -> None:
        """Append bytes; the first ones make the file, and the folders above it.

        Raises:
            OSError: it cannot be made or written.
        """
        if self._file is None:
            self._scratch.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._scratch.open("wb")
        self._file.write(data)
        self._sha.update(data)
        self.end += len(data)

    def finish(self) -> tuple[int, str]:
        """Flush to the disk and give the file its name; returns size and sha256.

        Raises:
            OSError: it cannot be written, or nothing was.
        """
        if self._file is None:
            raise FileNotFoundError(2, "nothing was written", str(self.path))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._scratch, self.path)
        return self.end, self._sha.hexdigest()

    def close(self) -> None:
        """Give up what is not finished; harmless afterwards."""
        if self._file is not None and not self._file.closed:
            self._file.close()
            self._scratch.unlink(missing_ok=True)
