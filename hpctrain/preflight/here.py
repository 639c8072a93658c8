"""Site local: the job runs on this very host, so its launcher and GPUs can be looked at."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from hpctrain.config.finding import Finding, error
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.launchers import choose_launcher

_DEVICES = Path("/dev")


def is_of(site: Site) -> bool:
    """Whether this host is one of a site's, or may be: the site names no hosts."""
    names = (socket.gethostname(), socket.getfqdn())
    return not site.hostnames or any(
        fnmatchcase(name, glob) for glob in site.hostnames for name in names
    )


def here_findings(job: Job, site: Site, python: str, devices: Path = _DEVICES) -> Iterator[Finding]:
    """Whether this host can start the ranks and has the GPUs.

    Args:
        job: the job.
        site: the site; of others than those without a scheduler nothing is said.
        python: the job's interpreter, which may bring an MPI along.
        devices: folder of the device files.
    """
    if site.scheduler != "local":
        return
    launcher = choose_launcher(job, site)
    program = launcher.spec.command or launcher.program
    own = os.path.join(os.path.dirname(python), program)
    is_brought = launcher.has_own_python and os.access(own, os.X_OK)
    if program and not is_brought and shutil.which(program) is None:
        text = f"there is no {program} in PATH; load the module or install the MPI that has it"
        yield error("launch.launcher", text)
    yield from _gpus(job, devices)


def _gpus(job: Job, devices: Path) -> Iterator[Finding]:
    asked = job.resources.ranks_per_node * job.resources.gpus_per_rank
    if not asked or (devices / "kfd").exists():  # AMD's device files say nothing of the number
        return
    found = len([path for path in devices.glob("nvidia*") if path.name[6:].isdigit()])
    if found < asked:
        text = f"{asked} GPUs are asked for on a node, and this host shows {found}"
        yield error("resources.gpus_per_rank", f"{text}; lower ranks_per_node or gpus_per_rank")
