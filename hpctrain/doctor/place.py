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
        trouble: why the number of nodes is a guess; empty: it is none.
    """

    scheduler: str
    job_id: str
    nodes: int
    slots: int | None
    trouble: str = ""


def find_allocation(env: Mapping[str, str] = os.environ) -> Allocation | None:
    """The job around this process; None: there is none."""
    if "SLURM_JOB_ID" in env:
        nodes = _number(env.get("SLURM_JOB_NUM_NODES") or env.get("SLURM_NNODES"))
        slots = _slurm_slots(env.get("SLURM_TASKS_PER_NODE", ""))
        return Allocation("slurm", env["SLURM_JOB_ID"], nodes or 1, slots)
    if "PBS_JOBID" in env:
        hosts = _hosts(env.get("PBS_NODEFILE"))
        slots = min(hosts.values(), default=0) or None
        trouble = "" if hosts else _no_file("PBS_NODEFILE", env)
        return Allocation("pbs", env["PBS_JOBID"], len(hosts) or 1, slots, trouble)
    if "COBALT_JOBID" in env:
        hosts = _hosts(env.get("COBALT_NODEFILE"))
        # on a Cray there is no such file; COBALT_JOBSIZE counts processes elsewhere, so it is last
        sizes = (_number(env.get(name)) for name in ("COBALT_PARTSIZE", "COBALT_JOBSIZE"))
        nodes = len(hosts) or next(filter(None, sizes), 0)
        trouble = "" if nodes else _no_file("COBALT_NODEFILE", env)
        return Allocation("cobalt", env["COBALT_JOBID"], nodes or 1, None, trouble)
    return None


def _no_file(name: str, env: Mapping[str, str]) -> str:
    return f"{name} is not set" if not env.get(name) else f"{name}={env[name]} cannot be read"


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
