"""Which files have to be read: those that are new, or not as they were when they were read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from hpctrain.index.files.facts import FactCache
from hpctrain.index.files.reading import DIGEST, accepted


def unknown_files(root: Path, names: Iterable[str], cache: FactCache, level: str) -> list[str]:
    """Files that the cache does not know as they are now."""
    levels, lines, unknown = accepted(level), cache.lines, []
    root_fd = os.open(root, os.O_RDONLY)
    try:
        for name in names:
            line = lines.get(name)
            if line is not None:
                with contextlib.suppress(OSError):  # reading says what is wrong with it
                    s = os.stat(name, dir_fd=root_fd)
                    head, inode = f"{s.st_size}\t{s.st_mtime_ns}\t", f"\t{s.st_ino}\t"
                    at = len(head) + DIGEST
                    is_same = line.startswith(head) and line.startswith(inode, at)
                    if is_same and line.startswith(levels, at + len(inode)):
                        continue
            unknown.append(name)
    finally:
        os.close(root_fd)
    return unknown
