"""Logs of a run: which files are the newest job's, their last lines, what is added to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_NO_LOGS = (".jsonl", ".json", ".csv", ".tsv")
_BLOCK = 65536


def log_files(run_dir: Path) -> list[Path]:
    """Logs of the job that wrote last, oldest first; of one job there may be several."""
    files = list(_files(run_dir / "logs"))
    if not files:
        return []
    newest = _stem(max(files, key=_modified))
    return sorted((path for path in files if _stem(path) == newest), key=_modified)


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_file() and path.suffix not in _NO_LOGS and not path.name.startswith("."):
            yield path


def _stem(path: Path) -> str:
    """What logs of one job have in common: 123 of 123.output and 123.error."""
    return path.name.partition(".")[0]


def _modified(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, path.name
    except OSError:
        return 0.0, path.name  # gone meanwhile


def last_lines(path: Path, number: int) -> list[str]:
    """The end of a text file, read from behind, as logs may be long."""
    text = b""
    try:
        with path.open("rb") as file:
            left = file.seek(0, os.SEEK_END)
            while left > 0 and text.count(b"\n") <= number:
                size = min(_BLOCK, left)
                left -= size
                file.seek(left)
                text = file.read(size) + text
    except OSError:
        return []
    lines = text.decode(errors="replace").splitlines()
    return lines[-number:] if number else []


class Follower:
    """What is added to the logs of a run, also by the next jobs of its chain."""

    def __init__(self, run_dir: Path) -> None:
        """All that is there now counts as known."""
        self.run_dir = run_dir
        self.at = {path: _size(path) for path in _all_logs(run_dir)}

    def new(self) -> Iterator[tuple[Path, str]]:
        """Each file that grew, and what was added to it."""
        for path in _all_logs(self.run_dir):
            size, known = _size(path), self.at.get(path, 0)
            if size < known:
                known = 0  # truncated: a requeued job began it anew
            if size > known:
                with path.open("rb") as file:
                    file.seek(known)
                    text = file.read(size - known)
                yield path, text.decode(errors="replace")
            self.at[path] = size


def _all_logs(run_dir: Path) -> list[Path]:
    return sorted(_files(run_dir / "logs"), key=_modified)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
