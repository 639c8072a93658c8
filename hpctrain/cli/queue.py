"""Columns of `hpctrain status` that come from schedulers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hpctrain.cli.sweep_state import is_finished
from hpctrain.run_state import RunState

if TYPE_CHECKING:
    from hpctrain.schedulers.overview import RunJob

ASK_EVERY_S = 30.0
"""`status --watch` looks every 2 s, and schedulers do not like to be asked so often."""

_SHORT = 24
"""Longer reasons are cut in the table; `hpctrain why` has them whole."""


class View:
    """The jobs of runs as `hpctrain status` shows them; asks now and then, not at every look."""

    def __init__(self, no_queue: bool) -> None:
        """Nothing is asked where `no_queue` says so."""
        self.no_queue = no_queue
        self.jobs: dict[Path, RunJob] = {}
        self._next = 0.0

    def look(self, states: Iterable[RunState]) -> dict[Path, RunJob]:
        """Jobs of the runs that were handed in and have not finished.

        A scheduler that is down costs a note, not the table.
        """
        if self.no_queue or time.monotonic() < self._next:
            return self.jobs
        self.jobs, notes = _ask(states)
        for note in notes:
            typer.echo(f"note: {note}", err=True)
        self._next = time.monotonic() + ASK_EVERY_S
        return self.jobs


def _ask(states: Iterable[RunState]) -> tuple[dict[Path, RunJob], list[str]]:
    open_runs = [state.path for state in states if not is_finished(state)]
    handed_in = [path for path in open_runs if has_job(path)]
    if not handed_in:
        return {}, []
    from hpctrain.schedulers.overview import find_run_jobs

    return find_run_jobs(handed_in)


def has_job(run_dir: Path) -> bool:
    """Whether `hpctrain submit` was here."""
    return (run_dir / "submitted.log").is_file()


def cells(job: RunJob | None) -> dict[str, str]:
    """Text of the columns `job` and `queue`."""
    if job is None:
        return {"job": "", "queue": ""}
    short = job.job_id.split(".")[0]
    place = f" ({job.number} of {job.max_jobs})" if job.number else ""
    return {"job": f"{short}{place}", "queue": _queue(job)}


def fields(job: RunJob | None) -> dict[str, Any]:
    """The same for programs."""
    if job is None:
        return {}
    status = job.status
    return {
        "job_id": job.job_id,
        "queue_state": status.state if status else None,
        "queue_reason": status.reason if status else None,
        "chain_job": job.number,
        "chain_max_jobs": job.max_jobs,
    }


def _queue(job: RunJob) -> str:
    status = job.status
    if status is None or status.state == "unknown":
        return ""
    reason = status.reason if status.state in ("held", "waiting") else ""
    reason = reason.removeprefix("Not Running: ")
    if len(reason) > _SHORT:
        reason = reason[: _SHORT - 1].rstrip() + "…"
    return f"{status.state}: {reason}" if reason else status.state
