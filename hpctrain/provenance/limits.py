"""What this machine allows a process: limits, shared memory, cores, and where its clock stands."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Any

_LIMITS = {
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "locked_memory": resource.RLIMIT_MEMLOCK,
    "stack": resource.RLIMIT_STACK,
}
_SHM = Path("/dev/shm")  # noqa: S108 - looked at, not written to
_INFINIBAND = Path("/sys/class/infiniband")
_MEMORY = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_UNLIMITED = 1 << 60


def limit_facts() -> dict[str, Any]:
    """Limits of this process, in bytes or counts; None: unlimited; no key: not known."""
    facts: dict[str, Any] = {name: _soft(number) for name, number in _LIMITS.items()}
    with suppress(OSError):
        found = os.statvfs(_SHM)
        facts["shm"] = {
            "size": found.f_blocks * found.f_frsize,
            "free": found.f_bavail * found.f_frsize,
        }
    facts["cores"] = sorted(os.sched_getaffinity(0))
    facts["infiniband"] = _names(_INFINIBAND)
    facts["memory"] = _memory()
    return facts


def _soft(number: int) -> int | None:
    soft, _ = resource.getrlimit(number)
    return None if soft == resource.RLIM_INFINITY or soft >= _UNLIMITED else soft


def _names(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(folder))
    return []


def _memory() -> int | None:
    """What the job's control group may take, or the machine has."""
    own = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _MEMORY:
        with suppress(OSError, ValueError):
            return min(own, int(path.read_text()))
    return own
