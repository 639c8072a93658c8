"""`after:` of a job: from runs and how they must end to jobs that the scheduler waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hpctrain import run_state
from hpctrain.errors import SubmitError
from hpctrain.schedulers.base import Condition, Scheduler
from hpctrain.schedulers.detect import scheduler_of
from hpctrain.schedulers.query import find_states
from hpctrain.schedulers.records import current_jobs

_WORDS = {"ok": "finish well", "any": "end", "failed": "fail"}


@dataclass(frozen=True)
class Wait:
    """A job of another run that must end first.

    Attributes:
        run_dir: that run.
        job_id: its last job.
        condition: how it must end.
    """

    run_dir: Path
    job_id: str
    condition: Condition


def find_waits(
    run_dir: Path, after: Mapping[str, Condition], scheduler: Scheduler
) -> tuple[Wait, ...]:
    """The jobs that a run has to wait for; runs that have ended as wanted need none.

    Raises:
        SubmitError: a run is not there, was not handed in, or has ended otherwise; the scheduler
            has no such condition.
    """
    waits = (_wait(run_dir, name, how, scheduler) for name, how in after.items())
    return tuple(wait for wait in waits if wait is not None)


def _wait(run_dir: Path, name: str, condition: Condition, scheduler: Scheduler) -> Wait | None:
    where = f"{run_dir}: after.{name}"
    parent = _neighbours(run_dir) / name
    if not run_state.is_run(parent):
        raise SubmitError(f"{where}: no run {name!r} beside this one; render and submit it first")
    if parent == run_dir.resolve():
        raise SubmitError(f"{where}: a run cannot wait for itself; name another one")
    jobs = current_jobs(parent)
    theirs = scheduler_of(parent)
    live = []
    if theirs is not None and jobs:
        states = find_states(theirs, jobs)
        live = [job for job in jobs if states[job.job_id].is_live]
    if not live:
        _check_end(where, parent, condition, bool(jobs))
        return None
    if theirs is None or theirs.name != scheduler.name:
        other = theirs.name if theirs else "none"
        raise SubmitError(
            f"{where}: that run is a job of {other}, and this one of {scheduler.name}, which "
            "cannot wait for it; submit this one when the other has ended"
        )
    if condition not in scheduler.conditions:
        raise SubmitError(_no_such_condition(where, condition, scheduler))
    return Wait(parent, live[-1].job_id, condition)


def _neighbours(run_dir: Path) -> Path:
    """The folder of all runs; a point of a sweep has the neighbours of its sweep."""
    folder = run_dir.resolve().parent
    is_point = folder.name == "points" and (folder.parent / "sweep.json").is_file()
    return folder.parent.parent if is_point else folder


def _no_such_condition(where: str, condition: Condition, scheduler: Scheduler) -> str:
    allowed = " or ".join(scheduler.conditions)
    if not allowed:
        return (
            f"{where}: that run is still at work, and without a scheduler nothing can wait for it; "
            "submit this one when it has ended"
        )
    return (
        f"{where}: found {condition!r}; {scheduler.name} can only wait for: {allowed}; "
        "submit this one when the other has ended"
    )


def _check_end(where: str, parent: Path, condition: Condition, was_handed_in: bool) -> None:
    state = run_state.read(parent)
    verdict = state.verdict()
    if verdict in run_state.ACTIVE:
        raise SubmitError(
            f"{where}: that run is {verdict}, but not as a job that could be waited for; submit "
            "this one when it has ended"
        )
    if verdict == "rendered" and not was_handed_in:
        raise SubmitError(f"{where}: that run was never handed in; hpctrain submit {parent}")
    is_ok = verdict == "finished"
    if condition == "any" or is_ok == (condition == "ok"):
        return
    message = f" ({state.text('message')})" if state.text("message") else ""
    ways = "write any in place of ok" if condition == "ok" else "write any in place of failed"
    raise SubmitError(
        f"{where}: that run shall {_WORDS[condition]}, and it has ended as {verdict}{message}; "
        f"{'start it again first, or ' if condition == 'ok' else ''}{ways}"
    )
