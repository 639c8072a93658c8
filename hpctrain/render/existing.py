"""What is in a run directory that exists: what changed, what was edited, what is not ours."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from hpctrain.render.inputs import digest
from hpctrain.render.texts import File

FOLDERS = ("logs", "checkpoints", "tensorboard", "eval")
"""Made empty by render, filled by the run."""
_NOT_LISTED = ("manifest.json", "state.json")
# say where the code is from; the code itself is compared file by file
_ORIGIN = ("code/SOURCE.json", "code/dirty.diff")
_ORIGIN_INPUTS = ("git_revision", "dirty")

_WRITTEN_BY_RUNS = re.compile(
    r"STOP|submitted\.log|chain\.log|followers|state\.json\.new|\.(state|manifest)\.json\..*"
)


@dataclass(frozen=True)
class Difference:
    """One path of a run directory that is not as it was rendered."""

    what: Literal["edited", "removed", "added"]
    path: str


def changes(files: Mapping[str, File], target: Path) -> list[str]:
    """What differs between `target` as it was rendered and these files, whatever has been edited.

    Another git revision with the same code is no difference.
    """
    old, new = manifest(target), json.loads(files["manifest.json"].content)
    found = _differing(old.get("files"), new["files"], _ORIGIN)
    found.sort(key=lambda name: name.startswith("code/"))
    inputs = _differing(old.get("inputs"), new["inputs"], _ORIGIN_INPUTS)
    version = ["version"] if old.get("version") != new["version"] else []
    return found or version or inputs


def _differing(old: object, new: Mapping[str, object], ignored: Iterable[str]) -> list[str]:
    before = old if isinstance(old, dict) else {}
    names = sorted({*before, *new} - {*ignored})
    return [name for name in names if before.get(name) != new.get(name)]


def has_started(target: Path) -> bool:
    """Whether the run in `target` ever began."""
    try:
        status = json.loads((target / "state.json").read_text())["status"]
    except (OSError, ValueError, KeyError, TypeError):
        status = "unreadable"
    return status != "rendered" or any(
        True
        for folder in FOLDERS
        if (target / folder).is_dir()
        for _ in (target / folder).iterdir()
    )


def edited_files(target: Path) -> list[str]:
    """Files of a run directory that differ from what was rendered, or are gone."""
    edited = []
    for name, recorded in manifest(target).get("files", {}).items():
        path = target / name
        if not path.is_file() or digest(path.read_bytes()) != recorded:
            edited.append(name)
    return edited


def differences(target: Path, has_code: bool = True) -> Iterator[Difference]:
    """What users did to a run directory since it was rendered; what the run wrote is not listed.

    Args:
        target: the run directory.
        has_code: look into code/, too; the points of a sweep share it.
    """
    recorded = manifest(target).get("files", {})
    yield from against(
        {name: own for name, own in recorded.items() if has_code or not name.startswith("code/")},
        target,
    )
    for name in foreign_paths(target):
        is_link = name in (*FOLDERS, "code") and (target / name).is_symlink()
        if not is_link and not _WRITTEN_BY_RUNS.fullmatch(name):
            yield Difference("added", name)


def against(recorded: Mapping[str, str], folder: Path) -> Iterator[Difference]:
    """Files that are gone or have another digest than the one that was recorded."""
    for name, known in sorted(recorded.items()):
        path = folder / name
        if not path.is_file():
            yield Difference("removed", name)
        elif digest(path.read_bytes()) != known:
            yield Difference("edited", name)


def foreign_paths(target: Path) -> Iterator[str]:
    """Paths that rendering did not write, such as an image; a whole folder counts as one."""
    ours = {*manifest(target).get("files", {}), *_NOT_LISTED, *FOLDERS}
    parents = {str(parent) for name in ours for parent in PurePosixPath(name).parents}

    def walk(folder: str) -> Iterator[str]:
        for entry in sorted(os.scandir(target / folder), key=lambda e: e.name):
            path = f"{folder}{entry.name}"
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and path in parents:
                yield from walk(f"{path}/")
            elif path in FOLDERS and entry.is_symlink():
                yield path  # moved to another disk
            elif path not in ours and not (is_folder and entry.name == "__pycache__"):
                yield path

    yield from walk("")


def manifest(target: Path) -> dict[str, Any]:
    """manifest.json of a run directory; empty where there is none that can be read."""
    try:
        page = json.loads((target / "manifest.json").read_text())
    except (OSError, ValueError):
        return {}
    return page if isinstance(page, dict) else {}
