"""`render --diff`: a run directory on disk against what would be rendered now."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpctrain.index.beside import record, recorded
from hpctrain.render.existing import manifest
from hpctrain.render.texts import File

_CHANGING = ("state.json", "manifest.json", "code/SOURCE.json", "code/dirty.diff")
"""Said by the other files, or by the run itself."""


def diff(files: Mapping[str, File], target: Path) -> Iterator[str]:
    """Lines of a unified diff from the files on disk, edits included, to these ones.

    Args:
        files: what would be rendered.
        target: the run directory.
    """
    before = _known(manifest(target).get("files"))
    for name in sorted({*before, *files}):
        if name in _CHANGING:
            continue
        old = _read(target / name)
        new = files[name].content if name in files else None
        if old != new:
            yield from _file_diff(name, old, new)
    was, now = (_beside(page) for page in (manifest(target), json.loads(_manifest(files))))
    if was != now:
        yield from _file_diff("manifest.json", was, now)


def _manifest(files: Mapping[str, File]) -> bytes:
    return files["manifest.json"].content if "manifest.json" in files else b"{}"


def _beside(page: Mapping[str, Any]) -> bytes:
    """What a manifest says of files beside the index: no other file says when these change."""
    return json.dumps(record(recorded(page)), indent=1).encode()


def _known(table: Any) -> set[str]:
    return set(table) if isinstance(table, dict) else set()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _file_diff(name: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    try:
        before, after = ((side or b"").decode().splitlines() for side in (old, new))
    except UnicodeDecodeError:
        yield f"Binary files a/{name} and b/{name} differ"
        return
    source = "/dev/null" if old is None else f"a/{name}"
    goal = "/dev/null" if new is None else f"b/{name}"
    lines = list(difflib.unified_diff(before, after, source, goal, lineterm=""))
    # nothing but the end of the last line differs, or an empty file comes or goes
    yield from lines or [f"--- {source}", f"+++ {goal}"]
