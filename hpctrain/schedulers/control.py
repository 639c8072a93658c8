"""Cancel, hold and release the jobs of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import JobNotFoundError, SchedulerError
from hpctrain.schedulers.base import JobStatus, Scheduler
from hpctrain.schedulers.detect import scheduler_of
from hpctrain.schedulers.query import find_states
from hpctrain.schedulers.records import current_jobs, followers, record
from hpctrain.schedulers.run import run

_TRIES = 3
"""A chain may hand itself in again in the moment in which it is cancelled."""


@dataclass(frozen=True)
class Cancelled:
    """What was ended.

    Attributes:
        job_ids: jobs that the scheduler was told to end.
        saving: a job that was asked to save and leave instead; None: none.
        left_waiting: jobs of other runs that wait for this one to end well.
    """

    job_ids: tuple[str, ...]
    saving: str | None = None
    left_waiting: tuple[str, ...] = ()


def cancel(run_dir: Path, is_saving: bool = False) -> Cancelled:
    """End the jobs of a run, and with them its chain.

    Args:
        run_dir: the run.
        is_saving: whether a running job shall save and leave by itself.

    Raises:
        JobNotFoundError: the run has no job that is queued or at work.
        SchedulerError: the scheduler is not here, does not answer or refuses.
    """
    scheduler, live = live_jobs(run_dir)
    ended: list[str] = []
    saving: str | None = None
    for _ in range(_TRIES):
        running = [status for status in live if status.state == "running"]
        if is_saving and running and saving is None:
            saving = running[0].job_id
            _ask_to_save(run_dir, scheduler, saving)
        doomed = [s.job_id for s in live if s.job_id not in (saving, *ended)]
        if doomed:
            _tell(scheduler.cancel_command(doomed), scheduler)
            for job_id in doomed:
                record(run_dir, "cancel", job_id)
            ended += doomed
        live = [s for s in _live(run_dir, scheduler) if s.job_id not in (saving, *ended)]
        if not live:
            break
    waiting = tuple(job_id for job_id, condition in followers(run_dir) if condition == "ok")
    return Cancelled(tuple(ended), saving, waiting)


def hold(run_dir: Path, is_release: bool = False) -> tuple[str, ...]:
    """Keep the waiting jobs of a run from starting, or let them.

    Raises:
        JobNotFoundError: the run has no job that waits, or is held.
        SchedulerError: the scheduler is not here, does not answer or refuses.
    """
    scheduler, live = live_jobs(run_dir)
    wanted = "held" if is_release else "waiting"
    ids = [status.job_id for status in live if status.state == wanted]
    if not ids:
        states = ", ".join(f"job {status.job_id} is {status.state}" for status in live)
        raise JobNotFoundError(f"{run_dir}: {states}; only a {wanted} job can be {_did(wanted)}")
    _tell(scheduler.hold_command(ids, is_release), scheduler)
    return tuple(ids)


def _did(wanted: str) -> str:
    return "released" if wanted == "held" else "held"


def live_jobs(run_dir: Path) -> tuple[Scheduler, list[JobStatus]]:
    """The jobs of a run that are queued or at work, in the order they start.

    Raises:
        JobNotFoundError: there is none.
        SchedulerError: the scheduler is not here, or does not answer.
    """
    scheduler = scheduler_of(run_dir)
    if scheduler is None or not current_jobs(run_dir):
        raise JobNotFoundError(
            f"{run_dir}: it was never handed in; do so with: hpctrain submit {run_dir}"
        )
    live = _live(run_dir, scheduler)
    if not live:
        last = current_jobs(run_dir)[-1].job_id
        raise JobNotFoundError(
            f"{run_dir}: job {last} is neither queued nor at work any more; hpctrain why {run_dir} "
            "tells what became of it"
        )
    return scheduler, live


def first_live(run_dir: Path) -> JobStatus | None:
    """The first job of a run that is queued or at work; None: there is none.

    Raises:
        SchedulerError: the scheduler is not here, or does not answer.
    """
    scheduler = scheduler_of(run_dir)
    live = _live(run_dir, scheduler) if scheduler is not None else []
    return live[0] if live else None


def _live(run_dir: Path, scheduler: Scheduler) -> list[JobStatus]:
    states = find_states(scheduler, current_jobs(run_dir))
    return [status for status in states.values() if status.is_live]


def _ask_to_save(run_dir: Path, scheduler: Scheduler, job_id: str) -> None:
    """The file STOP, which every rank reads, and where there is one, a signal to be faster."""
    (run_dir / "STOP").touch()
    command = scheduler.warn_command(job_id)
    if command is not None:
        _tell(command, scheduler)
    record(run_dir, "cancel", job_id)


def _tell(command: Sequence[str], scheduler: Scheduler) -> None:
    answer = run(command)
    if answer.code and not (answer.err.strip() and scheduler.is_unknown(answer.err)):
        raise SchedulerError(f"{scheduler.name}: the command was refused\n{answer.words}")
