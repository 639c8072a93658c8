"""What the last build started from, so that one that would give the same index can be left out.

Kept in the user's cache beside the facts: a digest of rule, splits, names and facts of all files,
and the digests of the CSV and JSON that came of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpctrain import __version__
from hpctrain.index.files.facts import facts_path


def inputs_digest(
    settings: Mapping[str, Any], names: Sequence[str], lines: Mapping[str, str]
) -> str:
    """Digest of all that an index depends on.

    Args:
        settings: rule and splits.
        names: files in order.
        lines: what is known of each, by name.
    """
    digest = hashlib.sha256(json.dumps([__version__, settings]).encode())
    for texts in (names, [lines[name] for name in names]):
        for start in range(0, len(texts), 4096):
            digest.update("\n".join(texts[start : start + 4096]).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def remember(root: Path, csv_path: Path, inputs: str, page: Mapping[str, Any]) -> None:
    """Keep what an index was built from; without effect where the cache cannot be written."""
    place = _place(root, csv_path)
    temporary = place.with_suffix(f".{os.getpid()}.new")
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"inputs": inputs, **page}))
        temporary.replace(place)


def recall(root: Path, csv_path: Path, inputs: str) -> dict[str, Any] | None:
    """What was kept for the same inputs, or None."""
    try:
        page = json.loads(_place(root, csv_path).read_text())
    except (OSError, ValueError):
        return None
    return page if isinstance(page, dict) and page.get("inputs") == inputs else None


def _place(root: Path, csv_path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(csv_path.resolve())).hexdigest()[:16]
    return facts_path(root).with_suffix(f".{name}.last")
