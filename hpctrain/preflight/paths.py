"""Folders and files that the job needs: there, of the right kind, with room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.index.beside import fault_of, named_files, place_of

LITTLE_BYTES = 5_000_000_000
"""Less room than this is said: how large checkpoints are is known only to the trainer."""


def path_findings(job: Job, run_dir: Path) -> Iterator[Finding]:
    """Look at every path of a job.

    Args:
        job: with absolute paths.
        run_dir: absolute path of the run directory, which may not exist yet.
    """
    yield from _data(job)
    yield from _code(job)
    yield from _output(run_dir)


def _data(job: Job) -> Iterator[Finding]:
    root, data = Path(job.data.root), job.data
    if not root.is_dir():
        found = "is no folder" if root.exists() else "does not exist"
        yield error("data.root", f"{root} {found}; give the folder of the data")
        return
    for key, path in named_files(job).items():
        if fault := fault_of(key, place_of(path, root)):
            yield error(*fault.split(": ", 1))
    missing = False
    for key in ("targets", "inputs", "validation_targets", "validation_inputs"):
        for pattern in getattr(data, key, ()):
            if not _matches(root, pattern):
                missing = True
                yield error(f"data.{key}", f"no file of {root} fits {pattern!r}; mend the pattern")
    if not missing:
        yield from _rows(job, root)


def _matches(root: Path, pattern: str) -> bool:
    try:
        return next(root.glob(pattern), None) is not None
    except (ValueError, NotImplementedError, OSError):
        return False  # an absolute or empty pattern


def _rows(job: Job, root: Path) -> Iterator[Finding]:
    """Whether inputs and targets fit each other by name, or windows their volumes by headers."""
    from hpctrain.errors import DataError
    from hpctrain.index import rows_of_job

    try:
        rows = rows_of_job(job, root)
    except DataError as e:
        yield from (error("data", line) for line in str(e).splitlines())
        return
    left_out = [row for row in rows if row.status != "ok"]
    if left_out:
        text = f"{len(left_out)} of {len(rows)} files are left out, the first: {left_out[0].reason}"
        yield note("data", text)


def _code(job: Job) -> Iterator[Finding]:
    for folder in job.code:
        if not os.path.isdir(folder):
            yield error("code", f"{folder}: no such folder")


def _output(run_dir: Path) -> Iterator[Finding]:
    folder = run_dir
    while not folder.exists():
        folder = folder.parent
    where = "run directory"
    if not folder.is_dir():
        yield error(where, f"{folder} is no folder; choose another with --out")
        return
    room = os.statvfs(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield error(where, f"{folder} cannot be written; choose another with --out")
        return
    left = room.f_bavail * room.f_frsize
    if left < LITTLE_BYTES:
        text = f"{left / 1e9:.1f} GB are left on the disk of {folder}; checkpoints may not fit"
        yield warning(where, text)
    if room.f_files and not room.f_favail:
        yield error(where, f"no file can be made on the disk of {folder}: its inodes are used up")
