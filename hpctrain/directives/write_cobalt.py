"""#COBALT lines."""

from __future__ import annotations

import re

from hpctrain.directives.model import Request, SchedulerName
from hpctrain.directives.output_path import cobalt_path
from hpctrain.directives.written import Written
from hpctrain.errors import ConfigError


def write_cobalt(request: Request, written: Written, source: SchedulerName) -> None:
    """Add all directives for Cobalt.

    Raises:
        ConfigError: the script gives no walltime.
    """
    if request.walltime_s is None:
        raise ConfigError(
            "it gives no walltime, and Cobalt refuses a script without one; add it to the script"
        )
    written.add(f"-n {request.nodes or 1}")
    written.add(f"-t {max(1, -(-request.walltime_s // 60))}")
    values = [("-q", request.queue), ("-A", request.account), ("--jobname", request.name)]
    values += [("-M", request.mail_to), ("--cwd", request.workdir)]
    for option, path in (("-o", request.output), ("-e", request.error)):
        if path is not None and not (option == "-e" and request.is_joined):
            values.append((option, cobalt_path(path, source, option[1], request.name)))
    if request.filesystems:
        values.append(("--attrs", "filesystems=" + ",".join(request.filesystems)))
    known = [d for d in request.dependencies if d.kind == "afterok"]
    if known:
        values.append(("--dependencies", ":".join(job for d in known for job in d.jobs)))
    if all(value is not None for _, value in request.env) and request.env:
        pairs = (f"{name}={_cobalt_escaped(value or '')}" for name, value in request.env)
        values.append(("--env", ":".join(pairs)))
    for option, value in values:
        _cobalt_word(option, value, written)
    if request.is_held:
        written.add("-h")
    written.lost += _cobalt_lost(request)


def _cobalt_escaped(value: str) -> str:
    return value.replace(":", "\\:").replace("=", "\\=")


def _cobalt_word(option: str, value: str | None, written: Written) -> None:
    if value is None:
        return
    if not value or re.search(r"\s", value) or value.startswith("-"):
        written.lost.append(f"{option} {value!r}, as Cobalt knows no quotes")
    else:
        written.add(f"{option} {value}")


def _cobalt_lost(request: Request) -> list[str]:
    counts = [
        ("ranks a node", request.ranks_per_node),
        ("CPUs a node", request.cpus_per_node),
        ("GPUs a node", request.gpus_per_node),
        ("MB of memory a node", request.memory_mb),
    ]
    lost = [f"{count} {what} (the launcher decides)" for what, count in counts if count is not None]
    if request.array:
        lost.append(f"array {request.array}: Cobalt has none, submit one job an index")
    lost += [f"dependency {d.kind}" for d in request.dependencies if d.kind != "afterok"]
    if request.is_joined:
        lost.append("one file for output and errors; begin the script with `exec 2>&1`")
    if request.mail_at and not request.mail_to:
        lost.append("mail: Cobalt wants an address, -M")
    if request.is_rerunnable:
        lost.append("rerun after a failure")
    lost += [f"variable {n} of the submission" for n, value in request.env if value is None]
    if any(value is None for _, value in request.env):
        lost += [f"variable {n}={value}" for n, value in request.env if value is not None]
    return lost
