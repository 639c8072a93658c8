"""What a run directory says about its jobs: submitted.log, followers, chain.log, state.json."""

from __future__ import annotations

import calendar
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from hpctrain.errors import SubmitError
from hpctrain.run_state import ACTIVE
from hpctrain.schedulers.base import Condition

How = Literal["submit", "chain", "requeue", "presubmit", "cancel"]


@dataclass(frozen=True)
class Event:
    """One line of submitted.log.

    Attributes:
        time: when, in seconds since 1970; None where the line does not tell.
        how: submit, chain, requeue, presubmit or cancel.
        job_id: the job.
    """

    time: float | None
    how: str
    job_id: str


@dataclass(frozen=True)
class Link:
    """One line of chain.log: a job of a chain at its end.

    Attributes:
        number: its place in the chain, from 1.
        job_id: the job.
        exit_code: of the training.
        step: steps that were saved by then, as text; may be empty.
        what: what happened, such as `goes on in job 124`.
    """

    number: int
    job_id: str
    exit_code: str
    step: str
    what: str


def events(run_dir: Path) -> list[Event]:
    """All readable lines of submitted.log, oldest first."""
    rows = (line.split("\t") for line in _lines(run_dir / "submitted.log"))
    return [Event(_seconds(row[0]), row[1], row[2]) for row in rows if len(row) == 3 and row[2]]


def current_jobs(run_dir: Path) -> list[Event]:
    """The jobs that may be at work or waiting for this run, in the order they start.

    One, but for a chain whose jobs were all handed in at once. A run that was handed in by hand has
    the job that its state.json names, while that is at work.
    """
    handed_in = [event for event in events(run_dir) if event.how != "cancel"]
    if not handed_in:
        return _from_state(run_dir)
    first = len(handed_in) - 1
    while first > 0 and handed_in[first].how == "presubmit":
        first -= 1
    return handed_in[first:]


def _from_state(run_dir: Path) -> list[Event]:
    try:
        fields = json.loads((run_dir / "state.json").read_text(encoding="utf-8"))
        job_id, status = fields.get("job_id"), fields.get("status")
    except (OSError, ValueError, AttributeError):
        return []
    is_named = isinstance(job_id, str) and job_id != "" and status in ACTIVE
    return [Event(None, "submit", job_id)] if is_named else []


def record(run_dir: Path, how: How, job_id: str) -> None:
    """Add a line to submitted.log, in one piece and on the disk when this returns."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    _append(run_dir / "submitted.log", f"{stamp}\t{how}\t{job_id}\n")


def add_follower(run_dir: Path, job_id: str, condition: Condition) -> None:
    """Note in a run that a job waits for it; its script moves the wait along with its chain."""
    _append(run_dir / "followers", f"{job_id}\t{condition}\n")


def followers(run_dir: Path) -> list[tuple[str, Condition]]:
    """Jobs that wait for this run, and for which end."""
    rows = (line.split("\t") for line in _lines(run_dir / "followers"))
    return [
        (row[0], cast("Condition", row[1]))
        for row in rows
        if len(row) == 2 and row[1] in ("ok", "any", "failed")
    ]


def links(run_dir: Path) -> list[Link]:
    """All readable lines of chain.log, oldest first."""
    rows = (line.split("\t") for line in _lines(run_dir / "chain.log"))
    return [
        Link(int(row[1]), row[2], row[3], row[4], row[5])
        for row in rows
        if len(row) == 6 and row[1].isdigit()
    ]


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Keep other calls of `hpctrain submit` away from a run.

    Raises:
        SubmitError: one is at work.
    """
    folder = os.open(run_dir, os.O_RDONLY)
    try:
        with _unsupported_is_fine():
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as e:
        raise SubmitError(f"{run_dir}: another call is handing it in; wait for its end") from e
    finally:
        os.close(folder)


@contextmanager
def _unsupported_is_fine() -> Iterator[None]:
    """Go on without a lock where the file system has none."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError:
        return


def _append(path: Path, line: str) -> None:
    # one write to a file opened for appending: run scripts on other hosts add lines, too
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, line.encode())
        with suppress(OSError):
            os.fsync(file)
    finally:
        os.close(file)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _seconds(text: str) -> float | None:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None
