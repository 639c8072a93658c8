"""Slurm: sbatch, squeue, sacct, scancel, scontrol. Seen with 22.05.8."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from hpctrain.schedulers.base import NOW, Condition, Handing, JobStatus, Scheduler, State, Which
from hpctrain.schedulers.slurm_reasons import REASONS

_WHEN: dict[Condition, str] = {"ok": "afterok", "any": "afterany", "failed": "afternotok"}

_STATES: dict[str, State] = {
    "PENDING": "waiting",
    "REQUEUED": "waiting",
    "REQUEUE_HOLD": "held",
    "REQUEUE_FED": "waiting",
    "SPECIAL_EXIT": "held",
    "RESV_DEL_HOLD": "held",
    "CONFIGURING": "starting",
    "RUNNING": "running",
    "SUSPENDED": "running",
    "STOPPED": "running",
    "RESIZING": "running",
    "SIGNALING": "running",
    "COMPLETING": "ending",
    "STAGE_OUT": "ending",
}
_HELD = ("JobHeldUser", "JobHeldAdmin", "JobHoldMaxRequeue")

# with '|' behind every field, so that no width has to be guessed
_QUEUE_FIELDS = ("JobArrayID", "State", "exit_code", "StartTime", "EndTime", "NodeList", "Reason")
_RECORD_FIELDS = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "Reason")


class SlurmScheduler(Scheduler):
    """Slurm."""

    name = "slurm"
    generic_site = "generic-slurm"
    script = "run.slurm"
    reasons = REASONS
    gone_words: ClassVar[tuple[str, ...]] = ("Invalid job id", "accounting storage is disabled")

    def submit_command(self, script: str, how: Handing = NOW) -> list[str]:
        """`sbatch SCRIPT`; variables go through the environment, which sbatch hands on."""
        words = ["sbatch"]
        if how.variables:
            words = ["env", *(f"{key}={value}" for key, value in how.variables.items()), "sbatch"]
        if how.is_held:
            words.append("--hold")
        waits = [f"{_WHEN[c]}:{':'.join(ids)}" for c, ids in how.by_condition().items()]
        if waits:
            # else a job whose condition can never hold stays in the queue for ever
            words += [f"--dependency={','.join(waits)}", "--kill-on-invalid-dep=yes"]
        return [*words, script]

    def parse_job_id(self, text: str) -> str | None:
        """`Submitted batch job 123 [on cluster x]`, or `123;x` of --parsable."""
        found = re.search(r"^Submitted batch job (\d+)", text, re.MULTILINE) or re.search(
            r"^(\d+)(;\S+)?$", text, re.MULTILINE
        )
        return found[1] if found else None

    def query_commands(self, job_ids: Sequence[str]) -> list[list[str]]:
        """Squeue, which soon forgets ended jobs, then sacct, which not all sites have."""
        ids = ",".join(job_ids)
        queue = ",".join(f"{name}:|" for name in _QUEUE_FIELDS)
        records = ",".join(_RECORD_FIELDS)
        return [
            ["squeue", "--noheader", "--states=all", f"--jobs={ids}", f"--Format={queue}"],
            ["sacct", "--noheader", "-X", "-P", f"--jobs={ids}", f"--format={records}"],
        ]

    def parse_states(self, text: str) -> dict[str, JobStatus]:
        """Lines of fields with '|' between them; an array is there as a whole and by element."""
        jobs: dict[str, JobStatus] = {}
        for line in text.splitlines():
            fields = line.strip().removesuffix("|").split("|")
            if len(fields) != len(_QUEUE_FIELDS) or not re.match(r"\d", fields[0]):
                raise ValueError(line)
            status = _status(*(field.strip() for field in fields))
            whole = re.split(r"[_+.]", status.job_id)[0]
            for element in _elements(status.job_id):
                jobs[element] = replace(status, job_id=element)
            jobs[whole] = _more_alive(jobs.get(whole), replace(status, job_id=whole))
        return jobs

    def cancel_command(self, job_ids: Sequence[str]) -> list[str]:
        """`scancel IDS`."""
        return ["scancel", *job_ids]

    def hold_command(self, job_ids: Sequence[str], is_release: bool = False) -> list[str]:
        """`scontrol hold IDS`."""
        return ["scontrol", "release" if is_release else "hold", ",".join(job_ids)]

    def is_here(self, which: Which) -> bool:
        """`sbatch` is there."""
        return which("sbatch") is not None

    def warn_command(self, job_id: str) -> list[str]:
        """USR1 to the batch shell, which knows what to do with it."""
        return ["scancel", "--signal=USR1", "--batch", job_id]


def _status(
    job_id: str, word: str, code: str, start: str, end: str, nodes: str, reason: str
) -> JobStatus:
    word = word.split()[0].rstrip("+")  # sacct: "CANCELLED by 1000"
    state = _STATES.get(word, "ended")
    reason = "" if reason in ("None", "(null)", "N/A", "Unknown") else reason.strip("()")
    if word == "CANCELLED" and reason != "DependencyNeverSatisfied":
        reason = ""  # what it waited for before
    if state == "waiting" and reason in _HELD:
        state = "held"
    has_begun = state not in ("waiting", "held")
    exit_code, number = _exit(code) if state == "ended" else (None, 0)
    return JobStatus(
        job_id=job_id,
        state=state,
        word=word,
        reason=reason,
        started=_seconds(start) if has_begun else None,  # else it is a guess of Slurm's
        ends=_seconds(end) if has_begun else None,
        exit_code=exit_code,
        signal=number,
        nodes="" if nodes in ("(null)", "None assigned", "None") else nodes,
    )


def _exit(text: str) -> tuple[int | None, int]:
    """Exit code and signal of `3:0` (sacct), or of 768, the status that wait(2) gave (squeue)."""
    if found := re.fullmatch(r"(\d+):(\d+)", text):
        code, number = int(found[1]), int(found[2])
    elif text.isdigit():
        code, number = int(text) >> 8, int(text) & 0x7F
    else:
        return None, 0
    return (128 + number if number else code), number


def _seconds(text: str) -> float | None:
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None  # N/A, Unknown, None


def _elements(job_id: str) -> list[str]:
    """Elements of an array that a line is about: `8_2`, or `8_[3-5,9%2]` of those that wait."""
    whole, _, rest = job_id.partition("_")
    found = []
    for part in filter(None, rest.strip("[]").partition("%")[0].split(",")):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found += [f"{whole}_{n}" for n in range(int(first), int(last or first) + 1)]
    return found


_ORDER: tuple[State, ...] = ("running", "ending", "starting", "waiting", "held", "ended", "unknown")


def _more_alive(one: JobStatus | None, other: JobStatus) -> JobStatus:
    """Of two elements of an array the one that says more about the whole: a live or failed one."""
    if one is None or _ORDER.index(one.state) > _ORDER.index(other.state):
        return other
    if one.state == other.state == "ended" and one.word == "COMPLETED":
        return other
    return one
