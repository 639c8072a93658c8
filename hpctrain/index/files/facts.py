"""What is known of files from earlier builds, so that an unchanged file is not read again.

One append-only text file a root in the user's cache folder: a line a file, the last one counts. A
build adds lines while it reads, so that one that was interrupted goes on where it was. A line that
is torn is no line.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from typing import NamedTuple

from hpctrain.log import logger

TAB = "\t"
_TABS = 7
_SPARE = 1000
"""More outdated lines than this, and than live ones, are worth writing the file anew."""


class Fact(NamedTuple):
    """What is known of one file; texts, as they stand in the cache and in the index."""

    size: str
    mtime_ns: str
    sha256: str
    """Empty where it could not be read."""
    inode: str = ""
    level: str = ""
    """How it was looked at: none, quick or full with the checks' version; `-`: do not rely on it
    later, as it had been written a moment before."""
    look: str = "\t\t"
    """Shape, type, and `code: what was found`; together, as they are mostly the same."""

    @property
    def fault(self) -> str:
        """`code: what was found`, or empty."""
        return self.look.split(TAB, 2)[2]


_new = tuple.__new__
"""What `Fact._make` calls for each of many thousands, without counting the parts again."""


def parse_fact(line: str) -> Fact:
    """A fact from its text in the cache, whose parts were counted when it was loaded."""
    return _new(Fact, line.split(TAB, 5))


def facts_path(root: Path) -> Path:
    """Cache file of a root."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
    return Path(base) / "hpctrain" / "index" / f"{name}.facts"


class FactCache:
    """The cache of one root; a cache that cannot be read or written only costs time."""

    def __init__(self, root: Path) -> None:
        self._path = facts_path(root)
        self._lock = threading.Lock()
        self._out: int | None = None
        self._num_lines = 0
        self.lines = self._load()

    def fact(self, name: str) -> Fact:
        """What is known of a file; raises KeyError."""
        return parse_fact(self.lines[name])

    def add(self, block: bytes) -> None:
        """Take whole lines `name TAB fact`, and keep them for later builds; any thread."""
        with self._lock:
            for line in block.decode().split("\n")[:-1]:  # a name may hold other line ends
                name, _, fact = line.partition(TAB)
                self.lines[name] = fact
            self._num_lines += block.count(b"\n")
            self._append(block)

    def close(self) -> None:
        """End writing; a file of mostly outdated lines is written anew."""
        with self._lock:
            if self._out is not None:
                os.close(self._out)
                self._out = None
                if self._num_lines > 2 * len(self.lines) + _SPARE:
                    self._compact()

    def _load(self) -> dict[str, str]:
        lines: dict[str, str] = {}
        try:
            with self._path.open(encoding="utf-8", errors="replace", newline="\n") as f:
                for line in f:
                    self._num_lines += 1
                    name, _, fact = line.partition(TAB)
                    if fact.endswith("\n") and fact.count(TAB) == _TABS:
                        lines[name] = fact[:-1]
        except OSError:
            return {}
        return lines

    def _append(self, block: bytes) -> None:
        try:
            if self._out is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
                self._out = os.open(self._path, flags, 0o600)
                size = os.fstat(self._out).st_size
                if size and os.pread(self._out, 1, size - 1) != b"\n":
                    os.write(self._out, b"\n")  # a torn line must not swallow the next
            os.write(self._out, block)
        except OSError as e:
            logger.debug("facts are not cached: %s", e)

    def _compact(self) -> None:
        temporary = self._path.with_suffix(f".{os.getpid()}.new")
        with contextlib.suppress(OSError):
            with temporary.open("w", encoding="utf-8", newline="\n") as f:
                f.writelines(f"{name}\t{fact}\n" for name, fact in self.lines.items())
            temporary.replace(self._path)
