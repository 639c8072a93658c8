"""Files and folders that fit glob patterns, found with as few questions to the disk as possible."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from hpctrain.errors import DataError
from hpctrain.index.match import WILDCARD, nearby, pattern_regex

_UNSAFE = re.compile(r"[|\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""In a name these would break the CSV, the list of several files, or a terminal."""
_SHOWN = 5
Above = tuple[tuple[int, int], ...]
"""Device and inode of each folder on the way down."""


def scan(root: Path, pattern: str, where: str) -> list[str]:
    """Files that fit a pattern, relative to the root, sorted; folders end in '/'.

    Args:
        root: folder that the pattern is relative to.
        pattern: `*`, `?`, `[...]` and `**`; one that ends in '/' finds folders. As in a shell,
            names with a leading dot must be written out.
        where: name of the option, for messages.

    Raises:
        DataError: a pattern that leaves the root, a folder that cannot be read, or a name that
            an index cannot hold.
    """
    parts = PurePosixPath(pattern).parts
    if not parts or PurePosixPath(pattern).is_absolute() or ".." in parts:
        raise DataError(f"{where}: {pattern!r} leaves the root; give a pattern relative to it")
    is_folder = pattern.endswith("/")
    fits = pattern_regex("/".join(parts) + "/" * is_folder).fullmatch
    try:
        found = [name for name in _walk(root, "", parts, is_folder, ()) if fits(name)]
    except OSError as e:
        raise DataError(f"{where}: {e.filename}: cannot be listed: {e.strerror}") from e
    _check_names(where, found)
    found.sort()
    return found


def groups_of(pattern: str, names: Iterable[str]) -> list[tuple[str, ...]]:
    """What each run of wildcards matched in each name."""
    regex = pattern_regex("/".join(PurePosixPath(pattern).parts))
    matches = (regex.fullmatch(name.rstrip("/")) for name in names)
    return [m.groups() if m else () for m in matches]


def files_below(root: Path, folder: str, pattern: str, where: str) -> list[str]:
    """Files of a folder that is one modality, such as the layers of a stack, sorted."""
    return scan(root, f"{escape(folder.rstrip('/'))}/{pattern}", where)


def escape(path: str) -> str:
    """A path as a pattern that fits only itself."""
    return re.sub(r"([*?[])", r"[\1]", path)


def nothing_fits(root: Path, pattern: str, where: str) -> DataError:
    """The error of a pattern without files; it may fit in a folder of the root."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        with contextlib.suppress(DataError):
            if scan(folder, pattern, where):
                return DataError(
                    f"{where}: {pattern!r} matches nothing under {root}, but below {folder.name}/; "
                    f"give {folder}"
                )
    return DataError(
        f"{where}: {pattern!r} matches nothing under {root}; "
        f"{nearby(root, pattern)}mend the pattern or the root"
    )


def _walk(
    root: Path, folder: str, parts: tuple[str, ...], is_folder: bool, above: Above
) -> Iterator[str]:
    """Candidates for the pattern `parts` below `folder`, which ends in '/' or is empty.

    Below `**` a folder that is one of those above it, by way of a link, is not entered.
    """
    part, rest = parts[0], parts[1:]
    if not WILDCARD.search(part):
        path = f"{folder}{part}"
        if rest:
            if os.path.isdir(root / path):
                yield from _walk(root, f"{path}/", rest, is_folder, above)
        elif os.path.lexists(root / path) and os.path.isdir(root / path) == is_folder:
            yield path + "/" * is_folder
        return
    if part == "**":
        status = os.stat(root / folder)
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        above = (*above, here)
    files, folders = _listed(root / folder, part)
    if part == "**" or not rest:
        names = [f"{name}/" for name in folders] if is_folder else files
        yield from (folder + name for name in names)
    if part == "**":
        rest = parts
    for name in folders if rest else ():
        yield from _walk(root, f"{folder}{name}/", rest, is_folder, above)


def _listed(path: Path, part: str) -> tuple[list[str], list[str]]:
    """Names of files and of folders that fit one part of a pattern."""
    files: list[str] = []
    folders: list[str] = []
    fits = str.__len__ if part == "**" else pattern_regex(part).fullmatch
    has_hidden = part[0] == "."
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if (has_hidden or name[0] != ".") and fits(name):
                (folders if entry.is_dir() else files).append(name)
    return files, folders


def _check_names(where: str, names: Iterable[str]) -> None:
    odd = [name for name in names if "|" in name or not name.isprintable()]
    bad = [name for name in odd if _UNSAFE.search(name)]
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        shown = ", ".join(ascii(name) for name in bad[:_SHOWN])
        raise DataError(
            f"{where}: an index cannot hold the name {shown}{more}; rename it: no '|', no control "
            "characters, and UTF-8"
        )
