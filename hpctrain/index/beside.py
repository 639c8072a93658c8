"""Files that decide a training and that no row lists; their digests are in the run's manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.digests import digests
from hpctrain.index.read import compare_files
from hpctrain.index.table import File

STYLES, WEIGHTS = "data.styles", "train.initial_weights.path"
BACKBONES = "train.backbone", "train.ir_backbone"
BEGINNINGS = (WEIGHTS, *(f"{block}.weights" for block in BACKBONES))
"""Values of a job that name files which a run reads at its first start alone."""
KEYS = (STYLES, *BEGINNINGS)
"""Values of a job that name such files; a relative path starts from the data's root."""
_SAVED = "model.safetensors"
"""File of weights in a folder of the package transformers."""
RECORD = "files_beside_index"
"""Where the manifest has them, below `inputs`."""


class Beside(NamedTuple):
    """Such a file as it was when the job was rendered."""

    path: str
    """As the job names it."""
    size: int
    sha256: str
    mtime_ns: int


def named_files(job: Any) -> dict[str, str]:
    """Path of each such file by its key, as a job or the page of a config.yaml names it."""
    found = {key: _value(job, key) for key in KEYS}
    for block in BACKBONES:
        key = f"{block}.weights"
        if found[key] and _value(job, f"{block}.kind") == "transformers":
            found[key] = os.path.join(found[key], _SAVED)
    return {key: path for key, path in found.items() if isinstance(path, str) and path}


def place_of(path: str, root: Path) -> Path:
    """Where such a file is.

    Args:
        path: as the job names it.
        root: of the data.
    """
    return root / os.path.expanduser(path)


def fault_of(key: str, path: Path) -> str:
    """Why a file cannot be read, and what to do; empty if it can."""
    try:
        with path.open("rb"):
            return ""
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else e
        return (
            f"{key}: {path}: cannot be read ({reason}); put the file there, or name another (a "
            "relative path starts from data.root)"
        )


def take_digests(
    job: Any, root: Path, progress: Callable[[str], None] | None = None
) -> dict[str, Beside]:
    """Size and digest of each such file of a job, by its key.

    Args:
        job: the job.
        root: of the data.
        progress: called with a line before many bytes are read.

    Raises:
        DataError: one is missing or cannot be read.
    """
    names = named_files(job)
    places = {key: place_of(path, root) for key, path in names.items()}
    faults = [fault for key, path in places.items() if (fault := fault_of(key, path))]
    if faults:
        raise DataError("\n".join(faults))
    known = digests(list(places.values()), progress) if places else {}
    found = {}
    for key, path in places.items():
        status = path.stat()
        found[key] = Beside(names[key], status.st_size, known[path], status.st_mtime_ns)
    return found


def record(files: Mapping[str, Beside]) -> dict[str, Any]:
    """What the manifest says of them; nothing where there are none."""
    return {RECORD: {key: file._asdict() for key, file in files.items()}} if files else {}


def recorded(manifest: Mapping[str, Any]) -> dict[str, Beside]:
    """What a manifest says of them; an entry that is none is left out."""
    inputs = manifest.get("inputs")
    page = inputs.get(RECORD) if isinstance(inputs, dict) else None
    found = {}
    for key in KEYS:
        entry = page.get(key) if isinstance(page, dict) else None
        match entry:
            case {"path": str(p), "size": int(size), "sha256": str(sha), "mtime_ns": int(mtime)}:
                found[key] = Beside(p, size, sha, mtime)
    return found


def verify_beside(
    job: Any,
    manifest: Mapping[str, Any],
    root: Path,
    *,
    content: bool = False,
    but: Iterable[str] = (),
) -> None:
    """Compare such files with the manifest, as `verify_index` compares those of the rows.

    Args:
        job: the job of the run.
        manifest: of the run.
        root: of the data.
        content: read them whatever their times of change say.
        but: keys of files that are not needed.

    Raises:
        DataError: the first that is missing or not the one of which the digest was taken.
    """
    known, names = recorded(manifest), named_files(job)
    files = [
        File(str(place_of(path, root)), *known[key][1:])
        for key, path in names.items()
        if key in known and key not in but
    ]
    compare_files(files, content)


def _value(page: Any, key: str) -> Any:
    for part in key.split("."):
        page = page.get(part) if isinstance(page, dict) else getattr(page, part, None)
    return page
