"""This environment's Python where an ordinary user can read it, as on a cluster's software disk."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


class OpenPython:
    """An interpreter with all that the tests' own has; root's may lie in a folder closed to others.

    Attributes:
        folders: what images must show so that it runs inside.
        python: the interpreter.
        libraries: where it, and then its MPI, find theirs, if not by the paths written in them.
    """

    def __init__(self, folder: Path) -> None:
        own, base = Path(sys.prefix), Path(sys.base_prefix)
        if _is_open(own) and _is_open(base):
            self.folders, self.python = sorted({own, base}), Path(sys.executable)
            self.libraries: list[str] = []
            return
        folder.mkdir()
        self.folders, self.python = [folder], folder / "own" / "bin" / "python3"
        self.libraries = [f"{folder}/{part}/lib" for part in ("base", "own")]
        _link(own, folder / "own", "mpich", "roc-validator")
        if own != base:
            _link(base, folder / "base", "site-packages", "test", "share")
            _make_venv(folder)

    def moved(self, program: str | Path | None) -> str:
        """Where the user finds a program of this environment; others are where they were."""
        path = Path(program or "")
        if not path.is_relative_to(sys.prefix):
            return str(path)
        return str(self.python.parents[1] / path.relative_to(sys.prefix))


def _is_open(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


def _link(source: Path, target: Path, *skipped: str) -> None:
    """A copy that takes no room, where both are on one disk."""
    ignore = shutil.ignore_patterns(*skipped)
    shutil.copytree(source, target, symlinks=True, ignore=ignore, copy_function=_link_file)


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _make_venv(folder: Path) -> None:
    """Let the copy of the environment begin at the copy of its interpreter."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    config = folder / "own" / "pyvenv.cfg"
    config.unlink()  # a link to the first one, which must stay as it is
    config.write_text(f"home = {folder}/base/bin\ninclude-system-site-packages = false\n")
    for name in ("python", "python3", f"python{version}"):
        link = folder / "own" / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../base/bin/python{version}")
