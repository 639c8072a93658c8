"""Files of glob patterns, paired by the text that the wildcards matched, never by sort order."""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from hpctrain.errors import DataError

Key = tuple[str, ...]
ONE = r"(?<![^/])\*\*/|\*+|\?|\[!?\]?[^\]]*\]"
WILDCARD = re.compile(f"(?:{ONE})+")
SHOWN = 5


def match_groups(root: Path, patterns: Sequence[str], option: str) -> dict[Key, tuple[str, ...]]:
    """Files of several patterns, joined by key.

    Args:
        root: folder that the patterns are relative to.
        patterns: one a field; `*`, `?`, `[...]` and `**` are wildcards.
        option: name of the option, for messages.

    Returns:
        Key to one path a pattern (relative, with `/`), in natural order of the keys.

    Raises:
        DataError: a pattern matches nothing, or a file of one has no twin in another.
    """
    names = [f"{option} {pattern!r}" for pattern in patterns]
    tables = [_match(root, p, name) for p, name in zip(patterns, names, strict=True)]
    for name, table in zip(names[1:], tables[1:], strict=True):
        check_twins(names[0], tables[0], name, table)
    return {key: tuple(table[key] for table in tables) for key in sorted(tables[0], key=natural)}


def check_twins(name_a: str, keys_a: Collection[Key], name_b: str, keys_b: Collection[Key]) -> None:
    """Raise when two patterns do not match the same keys, and list those without a twin."""
    missing_b = sorted(set(keys_a) - set(keys_b), key=natural)
    missing_a = sorted(set(keys_b) - set(keys_a), key=natural)
    if not missing_a and not missing_b:
        return
    parts = []
    if missing_b:
        parts.append(f"{name_b} has none for {_listed(missing_b)}")
    if missing_a:
        parts.append(f"{name_a} has none for {_listed(missing_a)}")
    raise DataError(
        f"{name_a} matches {len(keys_a)} files and {name_b} {len(keys_b)}; files are twins when "
        f"their wildcards match the same text: {'; '.join(parts)}; add or remove files so that "
        "each has its twin"
    )


def natural(key: Key) -> tuple[object, ...]:
    """Sort key in which step 2 stands before step 10."""
    pieces: list[object] = []
    for text in key:
        for i, piece in enumerate(re.split(r"(\d+)", text)):
            pieces.append((1, int(piece), piece) if i % 2 else (0, 0, piece))
        pieces.append((-1, 0, ""))
    return tuple(pieces)


def _match(root: Path, pattern: str, option: str) -> dict[Key, str]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(f"{option} leaves data.root; give a pattern relative to it")
    pattern = PurePosixPath(pattern).as_posix()  # "./x" and "x" are the same file
    regex = pattern_regex(pattern)
    table: dict[Key, str] = {}
    for found in sorted(glob.glob(pattern, root_dir=root, recursive=True)):
        path = Path(found).as_posix()
        match = regex.fullmatch(path)
        if match is None or (root / path).is_dir():
            continue
        if not (root / path).is_file():
            raise DataError(
                f"{option}: {root / path} is no file that can be read (a broken link?); mend it, "
                "or give a pattern that leaves it out"
            )
        if "|" in path or "\n" in path or "\r" in path:
            raise DataError(f"{option}: file name {path!r} has a '|' or a newline; rename it")
        table[match.groups()] = path
    if not table:
        raise DataError(
            f"{option} matches no file under {root}; "
            f"{nearby(root, pattern)}mend the pattern or data.root"
        )
    return table


def pattern_regex(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression with one group for each run of wildcards."""
    text, end = [], 0
    for run in WILDCARD.finditer(pattern):
        text.append(re.escape(pattern[end : run.start()]))
        text.append(f"({''.join(map(_piece, re.findall(ONE, run.group())))})")
        end = run.end()
    return re.compile("".join(text) + re.escape(pattern[end:]), re.DOTALL)


def _piece(wildcard: str) -> str:
    if wildcard == "**/":
        return "(?:.*/)?"
    if wildcard.startswith("*"):
        return ".*" if wildcard == "**" else "[^/]*"
    if wildcard == "?":
        return "[^/]"
    inner = wildcard[1:-1].replace("\\", "\\\\")
    return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"


def _listed(keys: Sequence[Key]) -> str:
    names = [repr("/".join(key)) for key in keys[:SHOWN]]
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(names) + more


def nearby(root: Path, pattern: str) -> str:
    """What does lie in the folder of a pattern, as a hint."""
    folder = root
    for part in Path(pattern).parts[:-1]:
        if WILDCARD.search(part) or not (folder / part).is_dir():
            break
        folder = folder / part
    names = sorted(p.name + "/" * p.is_dir() for p in folder.iterdir())
    if not names:
        return f"{folder} is empty; "
    more = ", ..." if len(names) > SHOWN else ""
    return f"{folder} holds {', '.join(names[:SHOWN])}{more}; "
