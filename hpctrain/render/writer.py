"""Run directories on disk: written beside and renamed, never half, never over a run that began."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from hpctrain.errors import RenderError
from hpctrain.render.existing import (
    FOLDERS,
    changes,
    edited_files,
    foreign_paths,
    has_started,
    manifest,
)
from hpctrain.render.inputs import digest
from hpctrain.render.texts import File


def write_run(files: Mapping[str, File], target: Path) -> str:
    """Make `target` the run directory with these files.

    Returns:
        `written`, `replaced`, `unchanged`, or `restored` where nothing changed but files that were
        gone are back.

    Raises:
        RenderError: the run began, was edited by hand, or the folder is something else.
    """
    if not target.exists():
        _put(files, target)
        return "written"
    changed = changes(files, target)
    if not changed:
        return "restored" if _restore(files, target) else "unchanged"
    own = _refuse_to_replace(target, changed, files)
    _put(files, target, own)
    return "replaced"


def _restore(files: Mapping[str, File], target: Path) -> bool:
    """Write back what is gone of a run directory; edited files stay. Returns whether any was."""
    missing_folders = [name for name in FOLDERS if not os.path.lexists(target / name)]
    missing = [
        name
        for name, recorded in manifest(target)["files"].items()
        if name in files
        and not os.path.lexists(target / name)
        and digest(files[name].content) == recorded
    ]
    try:
        for name in missing_folders:
            (target / name).mkdir()
        for name in missing:
            write_file(files[name], target / name)
    except OSError as e:
        raise RenderError(f"{target}: cannot be written: {e.strerror}") from e
    return bool(missing or missing_folders)


def _refuse_to_replace(target: Path, changed: list[str], files: Mapping[str, File]) -> list[str]:
    """Raise if `target` must stay as it is; else the paths in it that are not ours."""
    name = target.name
    if not (target / "manifest.json").is_file():
        raise RenderError(
            f"{target}: exists and is no run directory; move it away, or render with --as {name}-2"
        )
    if has_started(target):
        raise RenderError(
            f"{target}: this run has started, and the job has changed since it was rendered "
            f"({_listed(changed)}); "
            f"keep it and render the change as a new run: --as {next_name(target)}"
        )
    edited = edited_files(target)
    if edited:
        raise RenderError(
            f"{target}: {_listed(edited)} was edited by hand since it was rendered; "
            f"render the change as a new run: --as {next_name(target)}, or remove the folder"
        )
    own = list(foreign_paths(target))
    blocking = [path for path in own if _is_in_the_way(path, files)]
    if blocking:
        raise RenderError(
            f"{target}: {_listed(blocking)} was not written by render, and would be replaced; "
            f"move it away, or render as a new run: --as {next_name(target)}"
        )
    return own


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _is_in_the_way(path: str, files: Mapping[str, File]) -> bool:
    return any(f"{path}/".startswith(f"{n}/") or n.startswith(f"{path}/") for n in files)


def next_name(target: Path) -> str:
    """Name that is still free: NAME-2, NAME-3, and so on."""
    number = 2
    while (target.parent / f"{target.name}-{number}").exists():
        number += 1
    return f"{target.name}-{number}"


def _put(files: Mapping[str, File], target: Path, keep: Iterable[str] = ()) -> None:
    """Write beside the target, then swap by renaming; paths to keep move over."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as e:
        raise RenderError(f"{target.parent}: cannot be written: {e.strerror}") from e
    try:
        fill_folder(files, work / "new")
        moves = [(work / "old" / path, work / "new" / path) for path in keep]
        if target.exists():
            moves.insert(0, (target, work / "old"))
        _move_all([*moves, (work / "new", target)])
    except OSError as e:
        raise RenderError(f"{target}: cannot be written: {e.strerror}; nothing was changed") from e
    finally:
        if target.exists() or not (work / "old").exists():
            shutil.rmtree(work, ignore_errors=True)


def _move_all(moves: list[tuple[Path, Path]]) -> None:
    """Rename all, or none: whatever comes in between is undone."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, goal in moves:
            if goal.is_dir() and not any(goal.iterdir()):
                goal.rmdir()  # an empty folder of ours, where the user has a link
            goal.parent.mkdir(parents=True, exist_ok=True)
            source.rename(goal)
            done.append((source, goal))
    except BaseException:
        for source, goal in reversed(done):
            goal.rename(source)
        raise


def fill_folder(files: Mapping[str, File], folder: Path) -> None:
    """Write the files and the empty folders of a run into a new folder."""
    folder.mkdir()
    for name in FOLDERS:
        (folder / name).mkdir()
    for name, file in files.items():
        write_file(file, folder / name)


def write_file(file: File, path: Path) -> None:
    """Write one file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    if file.is_executable:
        path.chmod(0o777 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
