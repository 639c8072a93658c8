"""Which units of a conversion are done: a line each, so that a killed one goes on where it was."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path
from typing import Any

from hpctrain.errors import ConfigError

NAME = "journal.jsonl"
LOCK = "lock"


class Journal:
    """The journal in the folder of an unfinished conversion; one process may hold it.

    Its first line is what was asked for. A unit is written down after its bytes are on the disk.
    """

    def __init__(self, folder: Path, asked: dict[str, Any], advice: str) -> None:
        """Begin a journal or go on with one.

        Args:
            folder: of the unfinished conversion.
            asked: sources and options; another conversion's journal is refused.
            advice: what to do about a folder that is another conversion's.

        Raises:
            ConfigError: the folder is not of this conversion, or another process works in it.
        """
        self._lock = threading.Lock()
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self._holder = (folder / LOCK).open("w")
        try:
            fcntl.flock(self._holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._holder.close()
            raise ConfigError(f"{folder}: another conversion is at work here; wait for it") from e
        path = folder / NAME
        lines = _whole_lines(path)
        asked = json.loads(json.dumps(asked))
        if lines and lines[0] != asked:
            self._holder.close()
            differs = sorted(k for k in asked if lines[0].get(k) != asked[k])
            raise ConfigError(
                f"{folder}: holds an unfinished conversion of another kind "
                f"({', '.join(differs) or 'version'} differ); {advice}"
            )
        others = {p.name for p in folder.iterdir()} - {LOCK, NAME}
        if not lines and not is_new and others:
            self._holder.close()
            raise ConfigError(f"{folder}: holds {min(others)!r} and no journal; {advice}")
        self._done = {line["unit"]: line for line in lines[1:]}
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.seek(sum(len(_line(line)) for line in lines))
        self._file.truncate()  # a line that was torn by a kill
        if not lines:
            self._append(asked)

    def _append(self, page: dict[str, Any]) -> None:
        self._file.write(_line(page))
        self._file.flush()
        os.fsync(self._file.fileno())

    @property
    def done(self) -> dict[str, dict[str, Any]]:
        """What is known of each unit that is done."""
        return self._done

    def forget(self, unit: str) -> None:
        """Have a unit done again, as its file is not what it was."""
        self._done.pop(unit, None)

    def add(self, unit: str, facts: dict[str, Any]) -> None:
        """Write down that a unit is done; threads may call this."""
        with self._lock:
            self._done[unit] = {"unit": unit, **facts}
            self._append(self._done[unit])

    def close(self) -> None:
        """Let others work here."""
        self._file.close()
        self._holder.close()


def _line(page: dict[str, Any]) -> bytes:
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """Lines up to the first that is torn."""
    lines: list[dict[str, Any]] = []
    raw = path.read_bytes() if path.exists() else b""
    for line in raw.splitlines(keepends=True):
        try:
            page = json.loads(line)
        except ValueError:
            break
        if _line(page) != line:
            break
        lines.append(page)
    return lines
