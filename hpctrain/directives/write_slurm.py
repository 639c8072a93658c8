"""#SBATCH lines."""

from __future__ import annotations

import re

from hpctrain.directives.model import Request, SchedulerName
from hpctrain.directives.output_path import slurm_path
from hpctrain.directives.walltime import clock
from hpctrain.directives.written import PLAIN, Written, depend_text, pairs

_KINDS = frozenset(["after", "afterok", "afternotok", "afterany", "aftercorr", "singleton"])


def write_slurm(request: Request, written: Written, source: SchedulerName) -> None:
    """Add all directives for Slurm."""
    options: list[tuple[str, object]] = [
        ("job-name", request.name),
        ("account", request.account),
        ("partition", request.queue),
        ("nodes", request.nodes),
        ("ntasks-per-node", request.ranks_per_node),
        ("cpus-per-task", _cpus_per_task(request, written)),
        ("gpus-per-node", request.gpus_per_node or None),
        ("mem", None if request.memory_mb is None else f"{request.memory_mb}M"),
        ("time", None if request.walltime_s is None else clock(request.walltime_s)),
        ("array", request.array),
        ("mail-user", request.mail_to),
        ("mail-type", ",".join(sorted(at.upper() for at in request.mail_at)) or None),
        ("chdir", request.workdir),
    ]
    for name, value in options:
        if value is not None:
            written.add(f"--{name}={_quoted(str(value))}")
    _slurm_output(request, written, source)
    if request.is_exclusive:
        written.add("--exclusive")
    depend = depend_text(request, _KINDS, written)
    if depend:
        written.add(f"--dependency={depend}")
    if request.is_rerunnable is not None:
        written.add("--requeue" if request.is_rerunnable else "--no-requeue")
    if request.is_held:
        written.add("--hold")
    if request.env:
        written.add(f"--export={_quoted('ALL,' + pairs(request))}")
    if request.filesystems:
        written.lost.append(f"file systems {':'.join(request.filesystems)}")


def _cpus_per_task(request: Request, written: Written) -> int | None:
    if request.cpus_per_node is None:
        return None
    ranks = request.ranks_per_node or 1
    if request.cpus_per_node % ranks:
        written.notes.append(
            f"{request.cpus_per_node} CPUs of a node for {ranks} ranks are not equally many each"
        )
    return request.cpus_per_node // ranks or 1


def _slurm_output(request: Request, written: Written, source: SchedulerName) -> None:
    output = request.output
    if output is not None:
        written.add(f"--output={_quoted(slurm_path(output, source, 'o'))}")
    if request.error is not None and not request.is_joined:
        written.add(f"--error={_quoted(slurm_path(request.error, source, 'e'))}")
    if request.is_rerunnable:
        written.add("--open-mode=append")


def _quoted(value: str) -> str:
    if re.fullmatch(PLAIN, value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
