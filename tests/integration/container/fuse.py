"""Processes that hold an image file open for ranks which are gone, and their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

PROGRAM = "squashfuse_ll"
DELETED = " (deleted)"


def end_forgotten(*folders: Path) -> list[int]:
    """End what still serves an image of these folders, though its starter is gone.

    A file that is deleted keeps its place on the disk until then. Those of images in use have their
    starter as parent, and stay: other sessions read the same cache.

    Returns:
        the processes' numbers.
    """
    found = list(forgotten(*folders))
    for pid in found:
        os.kill(pid, signal.SIGTERM)
    return found


def forgotten(*folders: Path) -> Iterator[int]:
    """The numbers of such processes."""
    places = [folder.resolve() for folder in folders]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if _name(process) == PROGRAM and not _has_starter(process):
                images = [Path(path.removesuffix(DELETED)) for path in _open_files(process)]
                if any(image.is_relative_to(place) for image in images for place in places):
                    yield int(process.name)
        except OSError:
            continue  # it ended meanwhile, or is somebody else's


def _name(process: Path) -> str:
    return (process / "comm").read_text().strip()


def _has_starter(process: Path) -> bool:
    parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
    return _name(process.with_name(parent)) == "starter"


def _open_files(process: Path) -> list[str]:
    return [os.readlink(link) for link in (process / "fd").iterdir()]
