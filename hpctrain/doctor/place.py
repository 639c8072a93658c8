"""Where the doctor was called: on a login node, on a machine of one's own, or inside a job."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Allocation:
    """The job that the doctor runs in.

    Attributes:
        scheduler: slurm, pbs or cobalt.
        job_id: its number.
        nodes: machines that belong to it.
        slots: ranks that each of them takes; None: not known.
    """

    scheduler: str
    job_id: str
    nodes: int
    slots: int | None


def find_allocation(env: Mapping[str, str] = os.environ) -> Allocation | None:
    """The job around this process; None: there is none."""
    if "SLURM_JOB_ID" in env:
        nodes = _number(env.get("SLURM_JOB_NUM_NODES") or env.get("SLURM_NNODES"))
        slots = _slurm_slots(env.get("SLURM_TASKS_PER_NODE", ""))
        return Allocation("slurm", env["SLURM_JOB_ID"], nodes or 1, slots)
    if "PBS_JOBID" in env:
        hosts = _hosts(env.get("PBS_NODEFILE"))
        slots = min(hosts.values(), default=0) or None
        return Allocation("pbs", env["PBS_JOBID"], len(hosts) or 1, slots)
    if "COBALT_JOBID" in env:
        hosts = _hosts(env.get("COBALT_NODEFILE"))
        nodes = len(hosts) or _number(env.get("COBALT_JOBSIZE") or env.get("COBALT_PARTSIZE"))
        return Allocation("cobalt", env["COBALT_JOBID"], nodes or 1, None)
    return None


def _slurm_slots(text: str) -> int | None:
    """The fewest of "4(x2),1"."""
    numbers = [int(n) for n in re.findall(r"(?:^|,)(\d+)", text)]
    return min(numbers, default=None)


def _hosts(path: str | None) -> Counter[str]:
    """How often each host stands in a node file."""
    with suppress(OSError):
        return Counter(Path(path).read_text().split()) if path else Counter()
    return Counter()


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
