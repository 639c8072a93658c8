"""One file: its digest and what a look at it says, from a single reading."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable

from hpctrain.index.quick import Content, Look, look
from hpctrain.index.quick.look import VERSION

LEVELS = ("none", "quick", "full")
DIGEST = 64
"""Characters of a sha256."""
WHOLE = 8 << 20
"""Larger files are read by pieces."""
_PIECE = 1 << 20
_RACY_NS = 100_000_000
"""A file written later than this before it is read could change again at the same time stamp."""
Inspect = Callable[[str], tuple[str, str, str]]
"""Decodes a file: shape, type, and `code: what was found` or an empty text."""


def level_name(level: str) -> str:
    """The level as it stands in the cache."""
    return level if level == "none" else f"{level}{VERSION}"


def accepted(level: str) -> tuple[str, ...]:
    """Names of the levels that say the same: without a look any, else that one alone.

    A better look may find more, and the index must not depend on what was looked at before.
    """
    chosen = LEVELS if level == "none" else (level,)
    return tuple(f"{level_name(one)}\t" for one in chosen)


def read_file(
    root: str, root_fd: int, name: str, level: str, inspect: Inspect | None = None
) -> str:
    """A line of facts, see hpctrain.index.files.facts.

    Args:
        root: the root.
        root_fd: descriptor of the root.
        name: path below it.
        level: none, quick or full.
        inspect: for `full`: decodes a file.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=root_fd)
    except OSError as e:
        return _unreadable(name, e)
    try:
        status = os.fstat(descriptor)
        digest, content = _read(descriptor, status.st_size)
        found = _look(f"{root}/{name}", content, level, inspect)
    except OSError as e:
        return _unreadable(name, e)
    finally:
        os.close(descriptor)
    is_racy = time.time_ns() - status.st_mtime_ns < _RACY_NS
    return (
        f"{name}\t{status.st_size}\t{status.st_mtime_ns}\t{digest}\t{status.st_ino}\t"
        f"{'-' if is_racy else level_name(level)}\t"
        f"{found.shape}\t{found.dtype}\t{_plain(found.fault)}\n"
    )


def _read(descriptor: int, size: int) -> tuple[str, Content]:
    if size <= WHOLE:
        whole = os.read(descriptor, size + 1)
        while len(whole) < size and (piece := os.read(descriptor, size - len(whole))):
            whole += piece
        return hashlib.sha256(whole).hexdigest(), Content(descriptor, len(whole), whole)
    digest = hashlib.sha256()
    while piece := os.read(descriptor, _PIECE):
        digest.update(piece)
    return digest.hexdigest(), Content(descriptor, size, None)


def _look(path: str, content: Content, level: str, inspect: Inspect | None) -> Look:
    if level == "none":
        return Look()
    found = look(path, content)
    return Look(*inspect(path)) if inspect and not found.fault else found


def _unreadable(name: str, error: OSError) -> str:
    return f"{name}\t\t\t\t\t-\t\t\tunreadable: {_plain(error.strerror or str(error))}\n"


def _plain(text: str) -> str:
    return " ".join(text.split()) if text else text
