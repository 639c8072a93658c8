"""Stand-in for a PBS server: jobs as files in the folder $FAKE_PBS, shaped as qstat shows them.

Debian has no PBS server. What this one does follows qsub(1B), and what an OpenPBS 23.06 was seen to
do; it proves nothing about the real one beyond that.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SERVER = "fakepbs"
Job = dict[str, Any]


def root() -> Path:
    """The folder that stands for the server."""
    return Path(os.environ["FAKE_PBS"])


class RefusedError(Exception):
    """A request is refused, with PBS' own words and exit code."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


@contextmanager
def server() -> Iterator[None]:
    """One request at a time."""
    root().mkdir(parents=True, exist_ok=True)
    with (root() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def new_id(is_array: bool) -> str:
    """The next job id; within `server`."""
    counter = root() / "counter"
    number = int(counter.read_text()) + 1 if counter.exists() else 1
    counter.write_text(str(number))
    return f"{number}{'[]' if is_array else ''}.{SERVER}"


def path_of(job_id: str) -> Path:
    """File of a job."""
    return root() / "jobs" / f"{job_id.split('.')[0]}.json"


def read(job_id: str) -> Job:
    """A job by its full or short id."""
    try:
        return json.loads(path_of(job_id).read_text())  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise RefusedError(153, f"Unknown Job Id {job_id}") from None


def write(job_id: str, job: Job) -> None:
    """Store a job; within `server`."""
    path = path_of(job_id)
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({**job, "mtime": time.strftime("%a %b %e %H:%M:%S %Y")}, indent=1))
    new.replace(path)


def change(job_id: str, **fields: Any) -> Job:
    """Change some fields of a job."""
    with server():
        job = {**read(job_id), **fields}
        write(job_id, job)
    return job


def waits(job: Job) -> str:
    """`ready`, `wait` or `never`, by the job's depend."""
    found = "ready"
    for part in filter(None, str(job.get("depend", "")).split(",")):
        kind, *ids = part.split(":")
        for parent_id in ids:
            try:
                parent = read(parent_id.partition("@")[0])
            except RefusedError:
                return "never"
            if parent["job_state"] != "F":
                found = "wait"
            elif (kind == "afterok") != (parent["Exit_status"] == 0) and kind != "afterany":
                return "never"
    return found
