"""No scheduler: `hpctrain submit` starts the script itself, and processes stand in for jobs."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from typing import ClassVar

from hpctrain.run_state import is_alive
from hpctrain.schedulers.base import NOW, Condition, Handing, JobStatus, Scheduler, Which
from hpctrain.schedulers.reasons import table

_TWICE = 'kill -s TERM "$@" && sleep 1 && kill -s TERM "$@" 2>/dev/null; :'


class LocalScheduler(Scheduler):
    """No scheduler. A job is the process of a run script, and named HOST-PID."""

    name = "local"
    generic_site = "local"
    script = "run.sh"
    conditions: ClassVar[tuple[Condition, ...]] = ()
    reasons = table()

    def submit_command(self, script: str, how: Handing = NOW) -> list[str]:
        """The script itself."""
        variables = [f"{key}={value}" for key, value in how.variables.items()]
        return [*(["env", *variables] if variables else []), script]

    def parse_job_id(self, text: str) -> str | None:
        """HOST-PID."""
        return text.strip() if pid_of(text.strip()) else None

    def query_commands(self, job_ids: Sequence[str]) -> list[list[str]]:
        """None: see `state`."""
        return []

    def parse_states(self, text: str) -> dict[str, JobStatus]:
        """Nothing, as there is no query."""
        return {}

    def cancel_command(self, job_ids: Sequence[str]) -> list[str]:
        """SIGTERM twice: the script takes the first for a wish to save, the second ends all."""
        return ["/bin/sh", "-c", _TWICE, "kill", *(str(pid_of(job_id)) for job_id in job_ids)]

    def hold_command(self, job_ids: Sequence[str], is_release: bool = False) -> list[str]:
        """None: what is handed in here starts at once."""
        return []

    def is_here(self, which: Which) -> bool:
        """Always."""
        return True

    def warn_command(self, job_id: str) -> list[str]:
        """USR1 to the script."""
        return ["kill", "-s", "USR1", str(pid_of(job_id))]


def pid_of(job_id: str) -> int:
    """The process of a job; 0: the text is no such name."""
    found = re.fullmatch(r".+-(\d+)", job_id)
    return int(found[1]) if found else 0


def state(job_id: str, handed_in: float | None) -> JobStatus:
    """Whether the process of a job still runs.

    Args:
        job_id: HOST-PID.
        handed_in: when it was started; a process that began later only has the same number.
    """
    host = job_id.rpartition("-")[0]
    if host not in (socket.gethostname(), os.uname().nodename):
        return JobStatus(job_id, "unknown", reason=f"it was started on {host}, and this is another")
    alive = pid_of(job_id) > 0 and is_alive(pid_of(job_id), handed_in)
    return JobStatus(job_id, "running" if alive else "ended")
