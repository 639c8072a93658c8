"""A stamp beside a file that has no place for one: `NAME.provenance.json`.

It says the file's size and sha256, so that a pair that was copied and renamed is found again, and
a file that was altered is told from one that was not.
"""

from __future__ import annotations

import json
from pathlib import Path

from hpctrain.provenance.digest import digest_of
from hpctrain.provenance.stamp import MOST_BYTES, SCHEMA

SUFFIX = ".provenance.json"
_MOST_FILES = 1000
"""So many other sidecars of a folder are looked into, when a file was renamed."""


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of a file is."""
    return path.with_name(path.name + SUFFIX)


def find(path: Path) -> tuple[bytes, bool] | None:
    """The stamp's text that belongs to a file, and whether the file is the one it was made for.

    The file's own sidecar first; then one beside it that was made for the same bytes.
    """
    own = _load(sidecar_path(path))
    size = path.stat().st_size
    digest = ""
    if own is not None:
        digest = digest_of(path)
        if _fits(own, size, digest):
            return own, True
    others = sorted(path.parent.glob(f"*{SUFFIX}"))[:_MOST_FILES]
    for other in others:
        text = _load(other)
        if text is None or json.loads(text).get("content_size") != size:
            continue
        digest = digest or digest_of(path)
        if _fits(text, size, digest):
            return text, True
    return (own, False) if own is not None else None


def _load(path: Path) -> bytes | None:
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        content = path.read_bytes()
        page = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return None
    is_stamp = isinstance(page, dict) and str(page.get("schema", "")).startswith(
        SCHEMA.partition("/")[0]
    )
    return content if is_stamp else None


def _fits(text: bytes, size: int, digest: str) -> bool:
    page = json.loads(text)
    return bool(page.get("content_size") == size and page.get("content_digest") == digest)
