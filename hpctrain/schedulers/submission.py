"""Hand in a run: its dependencies, its chain, its records, and nothing half-done."""

from __future__ import annotations

import os
import shlex
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hpctrain import run_state
from hpctrain.errors import SchedulerError, SubmitError
from hpctrain.schedulers.base import Condition, Handing, JobStatus, Scheduler
from hpctrain.schedulers.detect import scheduler_of
from hpctrain.schedulers.query import find_states
from hpctrain.schedulers.records import add_follower, current_jobs, locked, record
from hpctrain.schedulers.run import NoAnswerError, run
from hpctrain.schedulers.waits import Wait, find_waits

if TYPE_CHECKING:
    from hpctrain.config.job import Job

LOCAL_LOG = "logs/local.out"
"""What a script prints that was started without a scheduler."""


@dataclass(frozen=True)
class Submission:
    """What was handed in.

    Attributes:
        run_dir: the run.
        job_ids: its jobs, in the order they will start; several of a chain handed in at once.
        command: the first command, word by word.
        waits: jobs of other runs that it waits for.
        is_held: whether it must be released.
    """

    run_dir: Path
    job_ids: tuple[str, ...]
    command: tuple[str, ...]
    waits: tuple[Wait, ...] = ()
    is_held: bool = False


@dataclass
class _Hand:
    """One run on its way into the queue."""

    run_dir: Path
    scheduler: Scheduler
    script: Path
    command: list[str] = field(default_factory=list)

    def give(self, how: Handing, number: int = 1) -> str:
        """Hand the script in once, and write down its job id at once."""
        command = self.scheduler.submit_command(str(self.script), how)
        self.command = self.command or command
        if self.scheduler.name == "local":
            job_id = _start(self.script, self.run_dir)
        else:
            job_id = _ask(self.scheduler, command, self.run_dir / self.script.name)
        record(self.run_dir, "submit" if number == 1 else "presubmit", job_id)
        return job_id


def submit(
    run_dir: Path, is_held: bool = False, more_waits: Sequence[tuple[str, Condition]] = ()
) -> Submission:
    """Hand in a run directory as it is.

    Args:
        run_dir: what `hpctrain render` wrote.
        is_held: whether it shall wait for `hpctrain release`.
        more_waits: job ids and ends to wait for, beside those of `after:`.

    Raises:
        SubmitError: it is queued, at work or finished already, waits for what cannot come, or the
            scheduler refused; nothing was handed in then.
        SchedulerError: the scheduler is not here, or does not answer.
    """
    scheduler = scheduler_of(run_dir)
    if scheduler is None:
        raise SubmitError(f"{run_dir}: no run script there; render the job again")
    with locked(run_dir):
        job = _job(run_dir)
        _refuse_busy(run_dir, scheduler)
        _refuse_local(run_dir, scheduler, is_held)
        waits = find_waits(run_dir, job.after, scheduler)
        script = run_dir.resolve() / scheduler.script
        hand = _Hand(run_dir, scheduler, _executable(script))
        after = [*((wait.job_id, wait.condition) for wait in waits), *more_waits]
        chain = job.chain if job.chain is not None and job.chain.how == "presubmit" else None
        if chain is None or scheduler.name == "local":
            job_ids = [hand.give(Handing(after, is_held))]
        else:
            job_ids = _presubmit(hand, after, is_held, chain.max_jobs)
        for wait in waits:
            add_follower(wait.run_dir, job_ids[0], wait.condition)
    return Submission(run_dir, tuple(job_ids), tuple(hand.command), waits, is_held)


def submit_script(
    script: Path,
    points: Sequence[Path],
    is_held: bool = False,
    after: Sequence[tuple[str, Condition]] = (),
    is_array: bool = True,
    is_first: bool = True,
) -> Submission:
    """Hand in a script of a sweep, which runs several run directories.

    Args:
        script: it lies in the sweep's folder.
        points: the run directories; of an array that of element 0 first.
        is_held: whether it shall wait for `hpctrain release`.
        after: job ids and ends to wait for, beside those of `after:`.
        is_array: whether each point is an element that can be looked at and ended by itself.
        is_first: whether no other script of the same sweep was handed in along with it.

    Raises:
        SubmitError: a job of the sweep is queued or at work, or the scheduler refused.
    """
    folder = script.parent
    scheduler = scheduler_of(points[0])
    if scheduler is None:
        raise SubmitError(f"{points[0]}: no run script there; render the sweep again")
    with locked(folder):
        if is_first:
            _refuse_live(folder, scheduler)
        _refuse_local(folder, scheduler, is_held)
        waits = find_waits(folder, _job(points[0]).after, scheduler)
        hand = _Hand(folder, scheduler, _executable(script.resolve()))
        everything = [*((wait.job_id, wait.condition) for wait in waits), *after]
        job_id = hand.give(Handing(everything, is_held), 1 if is_first else 2)
        for wait in waits:
            add_follower(wait.run_dir, job_id, wait.condition)
        if is_array:
            for number, point in enumerate(points):
                record(point, "submit", scheduler.element(job_id, number))
    return Submission(folder, (job_id,), tuple(hand.command), waits, is_held)


def _job(run_dir: Path) -> Job:
    from hpctrain.config.load import read_resolved

    return read_resolved(run_dir / "config.yaml")


def _refuse_live(run_dir: Path, scheduler: Scheduler) -> dict[str, JobStatus]:
    jobs = current_jobs(run_dir)
    states = find_states(scheduler, jobs) if jobs else {}
    for status in states.values():
        if status.is_live:
            raise SubmitError(
                f"{run_dir}: job {status.job_id} is {status.state} already; look with hpctrain "
                f"status, or end it first: hpctrain cancel {run_dir}"
            )
    return states


def _refuse_busy(run_dir: Path, scheduler: Scheduler) -> None:
    states = _refuse_live(run_dir, scheduler)
    state = run_state.read(run_dir)
    verdict = state.verdict()
    if verdict == "finished":
        raise SubmitError(
            f"{run_dir}: the training is finished, and a job would find nothing to do; render it "
            "under another name (--as) to train anew"
        )
    # an ended job may have left "running" behind, where it was killed
    if verdict in run_state.ACTIVE and not any(s.state == "ended" for s in states.values()):
        raise SubmitError(
            f"{run_dir}: it is {verdict} on {state.text('host') or 'another host'}; wait for its "
            f"end, or ask it to save and leave: touch {shlex.quote(str(run_dir / 'STOP'))}"
        )


def _refuse_local(run_dir: Path, scheduler: Scheduler, is_held: bool) -> None:
    if scheduler.name == "local" and is_held:
        raise SubmitError(
            f"{run_dir}: --hold needs a scheduler, and this run was rendered for site local; "
            "leave it out"
        )


def _executable(script: Path) -> Path:
    """The script, which Cobalt runs in place and `local` starts; copies may have lost the bit."""
    mode = script.stat().st_mode
    if not mode & stat.S_IXUSR:
        script.chmod(mode | stat.S_IXUSR)
    return script


def _ask(scheduler: Scheduler, command: list[str], script: Path) -> str:
    """Hand in a script and return the job id.

    Raises:
        SubmitError: the scheduler refused, answered without a job id, or cannot be asked.
    """
    folder, kept = script.parent, f"the script is kept: {script}"
    (folder / "logs").mkdir(exist_ok=True)  # schedulers lose the output where it is missing
    try:
        answer = run(command, cwd=folder)
    except NoAnswerError as e:
        raise SubmitError(
            f"{e}\nit may have taken the job all the same: look before handing in again; {kept}"
        ) from e
    except SchedulerError as e:
        raise SubmitError(f"{e}\n{kept}") from e
    if answer.code:
        raise SubmitError(f"{folder}: {scheduler.name} refused the job\n{answer.words}\n{kept}")
    job_id = scheduler.parse_job_id(answer.out)
    if job_id is None:
        raise SubmitError(
            f"{folder}: {scheduler.name} named no job id; it may have taken the job all the same: "
            f"look before handing in again\n{answer.words}\n{kept}"
        )
    return job_id


def _presubmit(
    hand: _Hand, after: Sequence[tuple[str, Condition]], is_held: bool, max_jobs: int
) -> list[str]:
    """Hand in a whole chain. The first is held meanwhile: it must not end before the last waits."""
    if "any" not in hand.scheduler.conditions:
        raise SubmitError(
            f"{hand.run_dir}: chain.how: found 'presubmit', and {hand.scheduler.name} starts a job "
            "only behind one that ended well, which a stopped training does not; write resubmit"
        )
    job_ids = [hand.give(Handing(after, is_held=True))]
    refusal = None
    try:
        for number in range(2, max_jobs + 1):
            variables = {"HPCTRAIN_CHAIN_JOB": str(number)}
            how = Handing([(job_ids[-1], "any")], variables=variables)
            job_ids.append(hand.give(how, number))
    except SchedulerError as e:
        refusal = e
    if not is_held:
        _release(hand, job_ids[0])
    if refusal is not None:
        raise SubmitError(
            f"{hand.run_dir}: {len(job_ids)} of {max_jobs} jobs of the chain were taken "
            f"({', '.join(job_ids)}) and stay; go on with these, or lower chain.max_jobs\n{refusal}"
        ) from refusal
    return job_ids


def _release(hand: _Hand, job_id: str) -> None:
    answer = run(hand.scheduler.hold_command([job_id], is_release=True))
    if answer.code:
        raise SubmitError(
            f"{hand.run_dir}: job {job_id} is handed in, but still held; release it with: "
            f"hpctrain release {hand.run_dir}\n{answer.words}"
        )


def _start(script: Path, run_dir: Path) -> str:
    """Start a script that survives the end of this shell; its job id is HOST-PID."""
    log = run_dir / LOCAL_LOG
    log.parent.mkdir(exist_ok=True)
    env = {key: value for key, value in os.environ.items() if key != "HPCTRAIN_CHAIN_JOB"}
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        pid = os.posix_spawn(
            script,
            [str(script)],
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o666),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
    except OSError as e:
        raise SubmitError(f"{script}: cannot be started ({e.strerror})") from e
    return f"{socket.gethostname()}-{pid}"
