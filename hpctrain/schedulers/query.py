"""Ask a scheduler for jobs: many in one question, a second one only for those it left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpctrain.errors import SchedulerError
from hpctrain.schedulers import local
from hpctrain.schedulers.base import JobStatus, Scheduler
from hpctrain.schedulers.records import Event
from hpctrain.schedulers.run import TIMEOUT_S, Answer, run

_AT_ONCE = 200
"""Jobs of one question; command lines have an end."""


def find_states(
    scheduler: Scheduler, jobs: Iterable[Event], timeout_s: float = TIMEOUT_S
) -> dict[str, JobStatus]:
    """The status of each job; `unknown` for those that the scheduler has no record of.

    Raises:
        SchedulerError: it is not here, does not answer, or answers nonsense; in its own words.
    """
    handed_in = {event.job_id: event.time for event in jobs}
    if scheduler.name == "local":
        return {job_id: local.state(job_id, when) for job_id, when in handed_in.items()}
    found: dict[str, JobStatus] = {}
    ids = list(handed_in)
    for start in range(0, len(ids), _AT_ONCE):
        found.update(_ask(scheduler, ids[start : start + _AT_ONCE], timeout_s))
    return found


def _ask(scheduler: Scheduler, ids: Sequence[str], timeout_s: float) -> dict[str, JobStatus]:
    found: dict[str, JobStatus] = {}
    missing = list(ids)
    for number in range(len(scheduler.query_commands(missing))):
        try:
            answer = run(scheduler.query_commands(missing)[number], timeout_s=timeout_s)
            found.update(_read(scheduler, answer, missing))
        except SchedulerError:
            if number == 0:
                raise
            break  # the history of ended jobs is a service of its own, which may be down or not be
        missing = [job_id for job_id in missing if job_id not in found]
        if not missing:
            return found
    return {**found, **{job_id: JobStatus(job_id, "unknown") for job_id in missing}}


def _read(scheduler: Scheduler, answer: Answer, ids: Sequence[str]) -> dict[str, JobStatus]:
    """Jobs of an answer by the names they were asked for, as servers add theirs or leave it out."""
    try:
        jobs = scheduler.parse_states(answer.out)
    except ValueError as e:
        if answer.code and not answer.out.strip():
            jobs = {}
        else:
            raise SchedulerError(
                f"{answer.argv[0]}: the answer is not what this command prints\n{answer.words}"
            ) from e
    if answer.code and not jobs and not scheduler.is_unknown(answer.err):
        raise SchedulerError(
            f"{answer.argv[0]}: refused with exit code {answer.code}\n{answer.words}"
        )
    short = {_short(job_id): status for job_id, status in jobs.items()}
    return {job_id: short[_short(job_id)] for job_id in ids if _short(job_id) in short}


def _short(job_id: str) -> str:
    return job_id.split(".")[0]
