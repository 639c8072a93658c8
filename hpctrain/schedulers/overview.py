"""What the schedulers say of many runs, with one question to each scheduler."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import SchedulerError
from hpctrain.schedulers.base import JobStatus, Scheduler
from hpctrain.schedulers.detect import scheduler_of
from hpctrain.schedulers.query import find_states
from hpctrain.schedulers.records import Event, current_jobs, links

PATIENCE_S = 15.0
"""A table shall not wait a minute for a scheduler that is down."""


@dataclass(frozen=True)
class RunJob:
    """The job of a run that matters now.

    Attributes:
        job_id: the job.
        status: what its scheduler says; None: it was not asked, or gave no answer.
        number: its place in a chain, from 1; None: it is in none.
        max_jobs: most jobs of that chain.
    """

    job_id: str
    status: JobStatus | None
    number: int | None = None
    max_jobs: int | None = None

    @property
    def chain(self) -> str:
        """Such as `job 2 of 10`, or nothing."""
        return f"job {self.number} of {self.max_jobs}" if self.number else ""


def find_run_jobs(run_dirs: Iterable[Path]) -> tuple[dict[Path, RunJob], list[str]]:
    """The job of each run that has one, and what to say of schedulers that gave no answer."""
    jobs = {run_dir: current_jobs(run_dir) for run_dir in run_dirs}
    groups: dict[str, tuple[Scheduler, list[Event]]] = {}
    for run_dir, events in jobs.items():
        scheduler = scheduler_of(run_dir) if events else None
        if scheduler is not None:
            groups.setdefault(scheduler.name, (scheduler, []))[1].extend(events)
    states: dict[str, JobStatus] = {}
    notes = []
    for scheduler, events in groups.values():
        try:
            states.update(find_states(scheduler, events, PATIENCE_S))
        except SchedulerError as e:
            notes.append(f"{scheduler.name}: jobs are not looked up: {str(e).splitlines()[0]}")
    found = {
        run_dir: run_job(run_dir, events, states) for run_dir, events in jobs.items() if events
    }
    return found, notes


def run_job(run_dir: Path, events: list[Event], states: dict[str, JobStatus]) -> RunJob:
    """Of the jobs of a run the first that is live, else the last that the scheduler knows."""
    known = [states[event.job_id] for event in events if event.job_id in states]
    told = [status for status in known if status.state != "unknown"]
    live = [status for status in told if status.is_live]
    status = next(iter(live or told[-1:] or known[-1:]), None)
    job_id = status.job_id if status else events[-1].job_id
    number, max_jobs = _place(run_dir, [event.job_id for event in events], job_id)
    return RunJob(job_id, status, number, max_jobs)


def _place(run_dir: Path, job_ids: list[str], job_id: str) -> tuple[int | None, int | None]:
    """Place of a job in its chain, and the most that the chain may have."""
    max_jobs = _max_jobs(run_dir)
    if max_jobs is None:
        return None, None
    if len(job_ids) > 1:
        return job_ids.index(job_id) + 1, max_jobs
    done = links(run_dir)
    ended_here = [link.number for link in done if link.job_id == job_id]
    if ended_here and not done[-1].what.startswith(("requeued", "goes on")):
        return ended_here[-1], max_jobs
    return (done[-1].number + 1 if done else 1), max_jobs


def _max_jobs(run_dir: Path) -> int | None:
    # not read as YAML: that would make `status` of many runs slow
    try:
        text = (run_dir / "config.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"^chain:\n(?:  .*\n)*?  max_jobs: (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None
