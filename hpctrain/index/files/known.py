"""Facts of files: from the cache where a file is unchanged, else by reading it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from hpctrain.index.files.facts import FactCache
from hpctrain.index.files.pool import Pool
from hpctrain.index.files.reading import DIGEST, accepted


def learn(
    root: Path,
    names: Iterable[str],
    cache: FactCache,
    level: str,
    inspect: str = "",
    progress: Callable[[str], None] | None = None,
) -> Pool:
    """Begin to find out about files; when the pool is done the cache knows them all.

    Args:
        root: folder that the names are relative to.
        names: files.
        cache: what is known; it learns the rest.
        level: none, quick or full.
        inspect: `module:function` that decodes a file, for `full`.
        progress: called with a line when many files are to be read.
    """
    unknown = unknown_files(root, names, cache, level)
    if progress and len(unknown) > 10_000:
        progress(f"reading {len(unknown)} files once")
    return Pool(root, unknown, level, cache.add, inspect if level == "full" else "")


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
