"""Why is a run where it is? What the scheduler, state.json, the chain and the log say together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hpctrain import run_state
from hpctrain.run_state import RunState
from hpctrain.schedulers.base import JobStatus
from hpctrain.schedulers.detect import scheduler_of
from hpctrain.schedulers.logs import last_lines, log_files
from hpctrain.schedulers.overview import RunJob
from hpctrain.schedulers.reasons import Advice
from hpctrain.schedulers.records import events, links
from hpctrain.schedulers.symptoms import explain_exit, find_symptom, last_exception

_LINES = 400
"""How much of a log's end is searched."""


@dataclass(frozen=True)
class Diagnosis:
    """An answer to `hpctrain why`.

    Attributes:
        what: where the run is, in a line.
        because: the words that were found, quoted as they are, and where.
        cause: what they mean; may be empty.
        fix: what to do.
    """

    what: str
    because: tuple[str, ...]
    cause: str
    fix: str


def diagnose(run_dir: Path, job: RunJob | None) -> Diagnosis:
    """Say what became of a run, why, and what to do.

    Args:
        run_dir: the run.
        job: its job; None: it was never handed in.
    """
    state = run_state.read(run_dir)
    verdict = state.verdict()
    status = job.status if job else None
    if status is not None and status.is_live and status.state != "running":
        found = _queued(run_dir, status)
    elif verdict == "finished":
        found = Diagnosis("finished", (), "", "look at it: hpctrain report RUN")
    elif verdict in run_state.ACTIVE and _may_live(status):
        found = _at_work(state, verdict, job)
    elif verdict == "silent" and _may_live(status):
        found = _silent(state, job)
    elif verdict == "stopped":
        found = _stopped(run_dir, state)
    elif status is None and (verdict == "rendered" or _has_no_trace(run_dir, job)):
        words = (state.problem,) if state.problem else ()
        found = Diagnosis("never started", words, "", "hand it in: hpctrain submit RUN")
    else:
        found = _failed(run_dir, state, verdict, job)
    return Diagnosis(found.what, found.because, found.cause, found.fix.replace("RUN", str(run_dir)))


def _may_live(status: JobStatus | None) -> bool:
    return status is None or status.is_live or status.state == "unknown"


def _has_no_trace(run_dir: Path, job: RunJob | None) -> bool:
    """Whether nothing of the run tells of a start: it has no state.json, job or log."""
    is_there = (run_dir / "state.json").exists()
    return job is None and not (is_there or links(run_dir) or log_files(run_dir))


def _queued(run_dir: Path, status: JobStatus) -> Diagnosis:
    scheduler = scheduler_of(run_dir)
    advice = scheduler.explain(status) if scheduler else None
    what = f"job {status.job_id} is {status.state}"
    words = f"{scheduler.name if scheduler else ''}: {status.reason or status.word}"
    unknown = Advice("", "look the words up in the site's manual, or ask its support")
    advice = advice or unknown
    return Diagnosis(what, (words,), advice.cause, advice.fix)


def _at_work(state: RunState, verdict: str, job: RunJob | None) -> Diagnosis:
    place = f" in job {job.job_id}" if job else ""
    chain = f" ({job.chain})" if job and job.chain else ""
    return Diagnosis(
        f"{verdict}{place}{chain}", (), "nothing is wrong", "watch it: hpctrain logs -f RUN"
    )


def _silent(state: RunState, job: RunJob | None) -> Diagnosis:
    where = state.text("host") or "its node"
    return Diagnosis(
        "running, but nothing was written for some minutes",
        (f"state.json: running on {where}",),
        "it hangs, its file system does, or the job is gone without a word",
        "look at the log: hpctrain logs RUN; if it does not go on: hpctrain cancel RUN, and hand "
        "it in again",
    )


_CHAIN_ENDS = (
    (
        "it was the last of",
        "the chain had as many jobs as it may have",
        "hand it in again for another such chain: hpctrain submit RUN; or raise chain.max_jobs",
    ),
    (
        "no step was saved",
        "a job was too short for one step and a checkpoint, so a next one would be, too",
        "raise resources.walltime, or save more often: train.checkpoints.every_steps",
    ),
    (
        "not handed in again|not requeued",
        "the scheduler refused the next job of the chain; its words are in the log",
        "read them: hpctrain logs RUN; then go on: hpctrain submit RUN",
    ),
)


def _stopped(run_dir: Path, state: RunState) -> Diagnosis:
    by = state.text("stop_reason")
    words = [f"state.json: stopped by {by}"] if by else []
    cause = "its time was over" if by == "the deadline" else "it was asked to save and leave"
    if _is_cancelled(run_dir):
        words.append(_CANCELLED)
        cause = "it was cancelled"
    fix = "hand it in again: hpctrain submit RUN"
    last = links(run_dir)[-1:]
    if last:
        words.append(f"chain.log: {last[0].what}")
        ends = [row for row in _CHAIN_ENDS if re.search(row[0], last[0].what)]
        _, cause, fix = ends[0] if ends else ("", cause, fix)
    return Diagnosis("stopped; it has saved and can go on", tuple(words), cause, fix)


_CANCELLED = "submitted.log: ended with hpctrain cancel"


def _is_cancelled(run_dir: Path) -> bool:
    """Whether the last thing that was done to the run's jobs was to cancel them."""
    done = events(run_dir)
    return bool(done) and done[-1].how == "cancel"


def _failed(run_dir: Path, state: RunState, verdict: str, job: RunJob | None) -> Diagnosis:
    status = job.status if job else None
    code = _exit_code(state, verdict, status)
    lines, log = _log(run_dir)
    symptom, exception = find_symptom(lines), last_exception(lines)
    because = [state.problem] if state.problem else []
    if verdict == "failed" and state.text("message"):
        because.append(f"state.json: {state.text('message')}")
    because += [f"{log}: {line}" for line in _said(symptom, exception) if log]
    if status is not None and (status.reason or status.word):
        because.append(f"scheduler: {' '.join(filter(None, (status.word, status.reason)))}")
    done = links(run_dir)
    if done:
        because.append(f"chain.log: {done[-1].what}")
    if _is_cancelled(run_dir):
        because.append(_CANCELLED)
    advice = _advice(run_dir, status, symptom, code, state.text("message"))
    if advice is None:
        advice = Advice("", "read the log: hpctrain logs RUN")
    return Diagnosis(_what(verdict, code, job), tuple(because), advice.cause, advice.fix)


def _what(verdict: str, code: int | None, job: RunJob | None) -> str:
    place = f"job {job.job_id} " if job else ""
    if verdict in ("rendered", "starting"):
        what = f"{place}ended before the training began"
    elif verdict == "failed":
        what = f"{place}failed"
    else:
        what = f"{place}is gone without a word"
    return what if code is None else f"{what}, with exit code {code}"


def _exit_code(state: RunState, verdict: str, status: JobStatus | None) -> int | None:
    told = state.number("exit_code") if verdict == "failed" else None
    if told is not None:
        return int(told)
    return status.exit_code if status and status.state == "ended" else None


def _log(run_dir: Path) -> tuple[list[str], str]:
    lines: list[str] = []
    name = ""
    for path in log_files(run_dir):
        lines += last_lines(path, _LINES)
        name = str(path.relative_to(run_dir))
    return lines, name


def _said(symptom: tuple[str, Advice] | None, exception: str | None) -> list[str]:
    lines = [symptom[0]] if symptom else []
    if exception and not any(exception in line for line in lines):
        lines.append(exception)
    return lines


def _advice(
    run_dir: Path,
    status: JobStatus | None,
    symptom: tuple[str, Advice] | None,
    code: int | None,
    message: str | None,
) -> Advice | None:
    """Of all that is known the most telling: message, log, scheduler, exit code.

    Exit codes of the trainer's own come with a message that says it all, so they go before the log.
    """
    by_code = explain_exit(code) if code is not None else None
    scheduler = scheduler_of(run_dir)
    by_scheduler = None
    if scheduler is not None and status is not None and status.state == "ended":
        by_scheduler = scheduler.explain(status)
    if message:
        by_message = find_symptom([message])
        if by_message or code in (2, 3, 4, 5, 6):
            return by_message[1] if by_message else by_code
    return (symptom[1] if symptom else None) or by_scheduler or by_code
