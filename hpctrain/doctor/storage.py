"""Room and speed of the folders that a run writes to."""

from __future__ import annotations

import getpass
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpctrain.doctor.topic import Topic, amount
from hpctrain.doctor.watched import watch
from hpctrain.preflight.ask import SilentError, ask

_PROGRAM = Path(__file__).with_name("disk.py")
_SECONDS = 1.5
_LIMIT_S = 25.0
_LITTLE = 2 << 30
_NOTHING = 256 << 20
_FEW_FILES = 5000
_SLOW = 20 << 20
_SLOW_RENAME_S = 0.5
_FULL = 0.95


def run_folders(runs: Path, env: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Where a run writes: its own folder, the cache of digests, and temporary files."""
    cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpctrain"
    return {"runs": runs, "cache": cache, "TMPDIR": Path(tempfile.gettempdir())}


def storage_topic(folders: Mapping[str, Path]) -> Topic:
    """Measure each folder, or the one above it that is there already."""
    topic, seen = Topic("storage"), dict[Path, str]()
    for name, path in folders.items():
        folder = existing(path)
        if folder in seen:
            topic.ok(name, f"{folder}: see {seen[folder]}")
            continue
        seen[folder] = name
        _measure(topic, name, folder)
    return topic


def existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    path = Path(os.path.abspath(path))
    return next(p for p in (path, *path.parents) if p.is_dir())


def _measure(topic: Topic, name: str, folder: Path) -> None:
    words = [sys.executable, "-I", str(_PROGRAM), str(folder), str(_SECONDS)]
    outcome = watch(words, _LIMIT_S)
    if outcome.code is None:
        stuck = " and cannot be ended" if outcome.is_stuck else ""
        topic.error(
            name,
            f"{folder}: does not answer within {_LIMIT_S:.0f} s{stuck}",
            "its file system hangs: wait, take another folder, tell the site",
        )
        return
    try:
        page = json.loads(outcome.out)
    except ValueError:
        topic.error(name, f"{folder}: {' / '.join(outcome.words[-1:])}", "look at its mount")
        return
    page["quota"] = _quota(page)
    topic.facts[name] = page
    judge(topic, name, page)


def judge(topic: Topic, name: str, page: Mapping[str, Any]) -> None:
    """One line about a folder.

    Args:
        topic: takes the line.
        name: what the folder is for.
        page: what disk.py printed, and the quota.
    """
    free, files = page["free"], page["free_files"]
    has_files = page["files"] > 0  # file systems such as btrfs count none
    text = f"{page['folder']}: {page['type']}, {amount(free)} free"
    text += f", {files} more files" if has_files and files < 1_000_000 else ""
    text += f", quota {page['quota']:.0%} used" if page.get("quota") is not None else ""
    if "error" in page:
        topic.error(name, f"{text}; cannot be written: {page['error']}", _REMEDY[name])
        return
    speed, rename = page["write"]["bytes_per_s"], page["rename"]["median_s"]
    text += f"; writes {amount(speed)}/s, a small file is safe in {rename * 1e3:.1f} ms"
    if free < _NOTHING or (has_files and files < 100) or (page.get("quota") or 0) >= 1:
        topic.error(name, f"{text}; it is full", _REMEDY[name])
    elif free < _LITTLE or (has_files and files < _FEW_FILES) or (page.get("quota") or 0) > _FULL:
        topic.warning(name, f"{text}; little is left", _REMEDY[name])
    elif speed < _SLOW or rename > _SLOW_RENAME_S:
        topic.warning(name, f"{text}; that is slow", "put runs on the site's parallel file system")
    else:
        topic.ok(name, text)


_REMEDY = {
    "runs": "make room (df -h, the site's quota command), or name another folder with --out",
    "cache": "make room, or set XDG_CACHE_HOME to a folder with room",
    "TMPDIR": "make room, or set TMPDIR to a folder of the node's own disk",
}


def _quota(page: Mapping[str, Any]) -> float | None:
    """Share of the user's quota that is used, of space or files; None: none is known.

    Lustre alone: elsewhere statvfs knows the quota, or nobody but the site does.
    """
    if page["type"] != "lustre":
        return None
    with suppress(SilentError, KeyError, OSError):
        answer = ask(["lfs", "quota", "-q", "-u", getpass.getuser(), page["mount"]], 15.0)
        if answer is not None and answer.code == 0:
            return quota_share(answer.out)
    return None


def quota_share(text: str) -> float | None:
    """The larger share out of `lfs quota -q`: used, soft, hard, grace of space, then of files."""
    numbers = [word.rstrip("*") for word in text.split()[1:]]
    shares = []
    for used, soft, hard in (numbers[0:3], numbers[4:7]) if len(numbers) >= 7 else ():
        limit = next((int(n) for n in (hard, soft) if n.isdigit() and int(n)), 0)
        if limit and used.isdigit():
            shares.append(int(used) / limit)
    return max(shares, default=None)
