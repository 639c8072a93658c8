"""PBS Pro and OpenPBS: qsub, qstat, qdel, qhold, qrls. As documented, and seen with 23.06."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from hpctrain.schedulers.base import NOW, Condition, Handing, JobStatus, Scheduler, State, Which
from hpctrain.schedulers.pbs_reasons import REASONS

_WHEN: dict[Condition, str] = {"ok": "afterok", "any": "afterany", "failed": "afternotok"}

# qstat(1B): letters of the column S
_STATES: dict[str, State] = {
    "Q": "waiting",
    "W": "waiting",
    "T": "waiting",
    "M": "waiting",
    "H": "held",
    "R": "running",
    "B": "running",
    "S": "running",
    "U": "running",
    "E": "ending",
    "F": "ended",
    "X": "ended",
}


class PbsScheduler(Scheduler):
    """PBS Pro and OpenPBS."""

    name = "pbs"
    generic_site = "generic-pbs"
    script = "run.pbs"
    reasons = REASONS
    gone_words: ClassVar[tuple[str, ...]] = (
        "Unknown Job Id",
        "Job has finished",
        "not configured to maintain job history",
    )

    def submit_command(self, script: str, how: Handing = NOW) -> list[str]:
        """`qsub SCRIPT`; no quotes inside the words, as no shell would take them off."""
        words = ["qsub"]
        if how.is_held:
            words.append("-h")
        waits = [f"{_WHEN[c]}:{':'.join(ids)}" for c, ids in how.by_condition().items()]
        if waits:
            words += ["-W", f"depend={','.join(waits)}"]
        if how.variables:
            words += ["-v", ",".join(f"{key}={value}" for key, value in how.variables.items())]
        return [*words, script]

    def parse_job_id(self, text: str) -> str | None:
        """`123.server`, or `123[].server` of an array; sites print greetings around it."""
        found = re.findall(r"^\d+(?:\[\])?\.[\w.-]+$|^\d+$", text, re.MULTILINE)
        return found[-1] if found else None

    def query_commands(self, job_ids: Sequence[str]) -> list[list[str]]:
        """Qstat with the history of ended jobs, and without where the server keeps none."""
        return [
            ["qstat", "-x", "-f", "-F", "json", *job_ids],
            ["qstat", "-f", "-F", "json", *job_ids],
        ]

    def parse_states(self, text: str) -> dict[str, JobStatus]:
        """The JSON of qstat, which leaves odd backslashes of variables as they are."""
        if not text.strip():
            return {}
        plain = re.sub(r"\\(?![\"\\/bfnrtu])", r"\\\\", text)
        page = json.loads(plain, strict=False)
        jobs = page.get("Jobs", {}) if isinstance(page, dict) else None
        if not isinstance(jobs, dict):
            raise ValueError(text)
        return {job_id: _status(job_id, job) for job_id, job in jobs.items()}

    def cancel_command(self, job_ids: Sequence[str]) -> list[str]:
        """`qdel IDS`: SIGTERM, and SIGKILL after the queue's kill_delay."""
        return ["qdel", *job_ids]

    def hold_command(self, job_ids: Sequence[str], is_release: bool = False) -> list[str]:
        """`qhold IDS`, `qrls IDS`."""
        return ["qrls" if is_release else "qhold", *job_ids]

    def element(self, job_id: str, number: int) -> str:
        """`123[4].server`."""
        return job_id.replace("[]", f"[{number}]", 1)

    def is_here(self, which: Which) -> bool:
        """`qsub` is there, and it is not Cobalt's: only PBS has `pbsnodes` beside it."""
        return which("qsub") is not None and which("pbsnodes") is not None


def _status(job_id: str, job: Any) -> JobStatus:
    if not isinstance(job, dict) or not isinstance(job.get("job_state"), str):
        raise ValueError(job_id)
    word = job["job_state"]
    started = _seconds(job.get("stime"))
    walltime = _duration(job.get("Resource_List"))
    state, reason = _STATES.get(word, "unknown"), str(job.get("comment") or "").strip()
    if word == "H" and job.get("depend") and "u" not in str(job.get("Hold_Types")):
        state, reason = "waiting", f"depend={job['depend']}"  # the server's own hold
    ends = started + walltime if started is not None and walltime is not None else None
    code = str(job.get("Exit_status", ""))
    exit_code = int(code) if code.lstrip("-").isdigit() else None
    return JobStatus(
        job_id=job_id,
        state=state,
        word=word,
        reason=reason,
        started=started,
        ends=_seconds(job.get("mtime")) if state == "ended" else ends,
        exit_code=exit_code if exit_code is None or exit_code < 256 else exit_code - 128,
        # 256 and a signal's number where that ended the job
        signal=exit_code - 256 if exit_code is not None and exit_code > 256 else 0,
        nodes=str(job.get("exec_host") or ""),
    )


def _seconds(value: Any) -> float | None:
    """A time of qstat: seconds since 1970, or `Tue Nov 15 16:44:00 2022` in local time."""
    text = str(value or "")
    if text.isdigit():
        return float(text)
    try:
        return time.mktime(time.strptime(text, "%a %b %d %H:%M:%S %Y"))
    except ValueError:
        return None


def _duration(resources: Any) -> float | None:
    text = str(resources.get("walltime") or "") if isinstance(resources, dict) else ""
    parts = text.split(":")
    if not all(part.isdigit() for part in parts):
        return None
    return float(sum(int(part) * 60**place for place, part in enumerate(reversed(parts))))
