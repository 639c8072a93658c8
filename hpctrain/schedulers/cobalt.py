"""Cobalt: qsub, qstat, qdel, qhold, qrls; after its clients' source and manual pages."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import ClassVar

from hpctrain.schedulers.base import NOW, Condition, Handing, JobStatus, Scheduler, State, Which
from hpctrain.schedulers.reasons import WAIT, table

_STATES: dict[str, State] = {
    "queued": "waiting",
    "maxrun_hold": "waiting",
    "dep_hold": "waiting",
    "dep_fail": "held",
    "user_hold": "held",
    "admin_hold": "held",
    "starting": "starting",
    "running": "running",
    "preempted": "waiting",
    "killing": "ending",
    "exiting": "ending",
    "done": "ended",
}
_FIELDS = ("JobID", "State", "StartTime", "TimeRemaining", "Location")


class CobaltScheduler(Scheduler):
    """Cobalt."""

    name = "cobalt"
    generic_site = "generic-cobalt"
    script = "run.cobalt"
    conditions: ClassVar[tuple[Condition, ...]] = ("ok",)
    reasons = table(
        ("^queued$", "it waits in the queue", WAIT),
        ("^maxrun_hold$", "as many of its owner's jobs run as the queue allows", WAIT),
        ("^dep_hold$", "it waits for another job to end well", WAIT),
        (
            "^dep_fail$",
            "a job that it waited for failed, so it never starts by itself",
            "start the other run again and hand this one in anew; or let it run without: "
            "qrls --dependencies JOBID",
        ),
        ("^user_hold$", "its owner holds it", "release it: hpctrain release RUN"),
        ("^admin_hold$", "an administrator holds it", "ask the site's support"),
        ("^preempted$", "it was thrown out for another job, and will start again", WAIT),
    )

    def submit_command(self, script: str, how: Handing = NOW) -> list[str]:
        """`qsub SCRIPT`; the script is run in place, so it must stay."""
        words = ["qsub"]
        if how.is_held:
            words.append("-h")
        if how.after:
            words += ["--dependencies", ":".join(job_id for job_id, _ in how.after)]
        if how.variables:
            words += ["--env", ":".join(f"{key}={value}" for key, value in how.variables.items())]
        return [*words, script]

    def parse_job_id(self, text: str) -> str | None:
        """A number alone on its line; messages go to standard error."""
        found = re.findall(r"^\s*(\d+)\s*$", text, re.MULTILINE)
        return found[-1] if found else None

    def query_commands(self, job_ids: Sequence[str]) -> list[list[str]]:
        """`qstat -l`; a job that has ended is not there any more."""
        return [["qstat", "-l", "--header", ":".join(_FIELDS), *job_ids]]

    def parse_states(self, text: str) -> dict[str, JobStatus]:
        """Blocks of `Name: value`, the first line of each at the margin."""
        jobs: dict[str, JobStatus] = {}
        for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
            if not block.strip():
                continue
            fields = dict(re.findall(r"^\s*(\w+)\s*: ?(.*?)\s*$", block, re.MULTILINE))
            if "JobID" not in fields or "State" not in fields:
                raise ValueError(block)
            status = _status(fields)
            jobs[status.job_id] = status
        return jobs

    def cancel_command(self, job_ids: Sequence[str]) -> list[str]:
        """`qdel IDS`: SIGTERM, SIGKILL minutes later."""
        return ["qdel", *job_ids]

    def hold_command(self, job_ids: Sequence[str], is_release: bool = False) -> list[str]:
        """`qhold IDS`, `qrls IDS`."""
        return ["qrls" if is_release else "qhold", *job_ids]

    def is_unknown(self, text: str) -> bool:
        """Nothing at all is said of jobs that are not there."""
        return not text.strip()

    def is_here(self, which: Which) -> bool:
        """One of the commands that only Cobalt has is there."""
        return which("cqsub") is not None or which("cqstat") is not None


def _status(fields: dict[str, str]) -> JobStatus:
    word = fields["State"]
    left = fields.get("TimeRemaining", "").split(":")
    seconds = sum(int(part) * 60**n for n, part in enumerate(reversed(left)) if part.isdigit())
    location = fields.get("Location", "")
    return JobStatus(
        job_id=fields["JobID"].strip(),
        state=_STATES.get(word.removesuffix("_released"), "unknown"),
        word=word,
        started=_started(fields.get("StartTime", "")),
        ends=time.time() + seconds if all(part.isdigit() for part in left) else None,
        nodes="" if location in ("None", "-", "N/A") else location,
    )


def _started(text: str) -> float | None:
    """`Thu Nov 05 17:29:30 2020 +0000 (UTC)` in seconds since 1970."""
    try:
        parsed = time.strptime(re.sub(r"\s*[+-]\d{4}.*$", "", text), "%a %b %d %H:%M:%S %Y")
    except ValueError:
        return None
    return time.mktime(parsed)
