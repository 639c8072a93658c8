"""Where node, time and position of a file stand: in its folder or in its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from hpctrain.index.match import WILDCARD
from hpctrain.index.pairing.times import AUTO

Extract = Callable[[str, str], str]
"""From folder (with a '/' at its end, or empty) and name to a text; empty where there is none."""


def fixed_part(pattern: str) -> str:
    """The folders of a pattern before its first wildcard, with a '/' at the end, or empty."""
    match = WILDCARD.search(pattern)
    return pattern[: pattern.rfind("/", 0, match.start() if match else len(pattern)) + 1]


def parted(path: str) -> tuple[str, str]:
    """Folder and name of a path; a path that ends in '/' is a folder of that name."""
    folder, slash, name = path.rpartition("/") if path[-1] != "/" else path[:-1].rpartition("/")
    return folder + slash, name


def extractor(source: str | None, pattern: str) -> Extract | None:
    """What finds a value in a path; None where there is nothing to find.

    Args:
        source: folder, folder:N, name:REGEX, path:REGEX, text:VALUE, auto (a time), or None.
        pattern: glob pattern of the files, for `folder`.
    """
    if source is None:
        return None
    kind, _, text = source.partition(":")
    if kind == "text":
        return lambda folder, name: text
    if kind == "folder" and text:
        number = int(text)
        return lambda folder, name: _part(folder + name, number)
    if kind == "folder":
        skip = len(fixed_part(pattern))
        return lambda folder, name: folder[skip:-1]
    regex = AUTO if source == "auto" else re.compile(text)
    search, group = regex.search, min(1, regex.groups)
    if kind == "path":
        return lambda folder, name: (m[group] or "") if (m := search(folder + name)) else ""
    return lambda folder, name: (m[group] or "") if (m := search(name)) else ""


@lru_cache(maxsize=1024)
def _part(path: str, number: int) -> str:
    parts = path.split("/")
    return parts[number] if -len(parts) <= number < len(parts) else ""
