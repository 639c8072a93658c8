"""Small programs on PATH that say what the real ones were recorded to say."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

SYSTEM = "/usr/bin:/bin"


class Programs:
    """A folder of programs that stands alone on PATH, but for the system's own tools."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        tools = folder.parent / "tools"
        tools.mkdir()
        for name in ("sh", "cat", "sleep", "env"):
            found = next(Path(d) / name for d in SYSTEM.split(":") if (Path(d) / name).exists())
            (tools / name).symlink_to(found)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{tools}")

    def add(self, name: str, out: str = "", err: str = "", code: int = 0, body: str = "") -> None:
        """A program that logs its words and answers."""
        path = self.folder / name
        path.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$*" >>{shlex.quote(str(self.folder))}/{name}.log\n{body}\n'
            f"printf %s {shlex.quote(out)}\nprintf %s {shlex.quote(err)} >&2\nexit {code}\n"
        )
        path.chmod(0o755)

    def words(self, name: str) -> list[str]:
        """What a program was started with, a line a start."""
        log = self.folder / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []
