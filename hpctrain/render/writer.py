"""Run directories on disk: written beside and renamed, never half, never over a run that began."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpctrain.errors import RenderError
from hpctrain.render.inputs import digest
from hpctrain.render.texts import File

_FOLDERS = ("logs", "checkpoints", "tensorboard", "eval")


def write_run(files: Mapping[str, File], target: Path) -> str:
    """Make `target` the run directory with these files.

    Returns:
        `written`, `replaced` or `unchanged`.

    Raises:
        RenderError: the run began, was edited by hand, or the folder is something else.
    """
    if not target.exists():
        _put(files, target)
        return "written"
    if is_unchanged(files, target):
        return "unchanged"
    _refuse_to_replace(target)
    _put(files, target)
    return "replaced"


def is_unchanged(files: Mapping[str, File], target: Path) -> bool:
    """Whether `target` was rendered to exactly these files, whatever has been edited since."""
    old, new = _manifest(target), json.loads(files["manifest.json"].content)
    return all(old.get(key) == new[key] for key in ("version", "inputs", "files"))


def has_started(target: Path) -> bool:
    """Whether the run in `target` ever began."""
    try:
        status = json.loads((target / "state.json").read_text())["status"]
    except (OSError, ValueError, KeyError, TypeError):
        status = "unreadable"
    return status != "rendered" or any(
        True
        for folder in _FOLDERS
        if (target / folder).is_dir()
        for _ in (target / folder).iterdir()
    )


def edited_files(target: Path) -> list[str]:
    """Files of a run directory that differ from what was rendered, or are gone."""
    edited = []
    for name, recorded in _manifest(target).get("files", {}).items():
        path = target / name
        if not path.is_file() or digest(path.read_bytes()) != recorded:
            edited.append(name)
    return edited


def _refuse_to_replace(target: Path) -> None:
    name = target.name
    if not (target / "manifest.json").is_file():
        raise RenderError(
            f"{target}: exists and is no run directory; move it away, or render with --as {name}-2"
        )
    if has_started(target):
        raise RenderError(
            f"{target}: this run has started, and the job has changed since it was rendered; "
            f"keep it and render the change as a new run: --as {_next_name(target)}"
        )
    edited = edited_files(target)
    if edited:
        raise RenderError(
            f"{target}: {', '.join(edited[:5])} was edited by hand since it was rendered; "
            f"render the change as a new run: --as {_next_name(target)}, or remove the folder"
        )


def _next_name(target: Path) -> str:
    number = 2
    while (target.parent / f"{target.name}-{number}").exists():
        number += 1
    return f"{target.name}-{number}"


def _manifest(target: Path) -> dict[str, Any]:
    try:
        page = json.loads((target / "manifest.json").read_text())
    except (OSError, ValueError):
        return {}
    return page if isinstance(page, dict) else {}


def _put(files: Mapping[str, File], target: Path) -> None:
    """Write beside the target, then swap by renaming."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as e:
        raise RenderError(f"{target.parent}: cannot be written: {e.strerror}") from e
    try:
        _fill(files, work / "new")
        if target.exists():
            target.rename(work / "old")
        try:
            (work / "new").rename(target)
        except OSError:
            if (work / "old").exists():
                (work / "old").rename(target)
            raise
    except OSError as e:
        raise RenderError(f"{target}: cannot be written: {e.strerror}; nothing was changed") from e
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fill(files: Mapping[str, File], folder: Path) -> None:
    folder.mkdir()
    for name in _FOLDERS:
        (folder / name).mkdir()
    for name, file in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        if file.is_executable:
            path.chmod(0o777 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
