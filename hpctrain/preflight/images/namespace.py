"""Whether the ranks of a node can read each other's memory from inside their images."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpctrain.config.finding import Finding, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.engines import Engine
from hpctrain.preflight.ask import SilentError, ask
from hpctrain.preflight.here import is_of
from hpctrain.preflight.images.check import wanted_by

_KINDS = ("apptainer", "singularity")
_SUID = re.compile(r"^\w+_SUID_INSTALL=(?P<is_setuid>[01])$", re.MULTILINE)


def namespace_findings(job: Job, site: Site, engine: Engine, where: str) -> Iterator[Finding]:
    """Warn of ranks that have a user namespace each, where they exchange gradients by MPI.

    Without setuid each start of the engine makes one, and CMA and XPMEM end at its border; Open MPI
    4.1 was seen to send large messages for ever then. apptainer-buildcfg(1).
    """
    ranks = job.resources.ranks_per_node
    is_shared = site.container.one_namespace or job.launch.launcher == "torchrun"
    if ranks == 1 or is_shared or not wanted_by(job, site).needs_mpi or not is_of(site):
        return
    if engine.program not in _KINDS or _is_setuid(engine.program) is not False:
        return
    remedy = "set one_namespace: true in the site's container"
    if engine.program == "singularity":
        remedy = "set OMPI_MCA_btl_vader_single_copy_mechanism: none in launch.env, for Open MPI 4"
    yield warning(
        where,
        f"{engine.program} is not installed setuid, so each of {ranks} ranks of a node has a user "
        f"namespace of its own, and MPI may hang with large messages; {remedy}",
    )


def _is_setuid(program: str) -> bool | None:
    try:
        answer = ask([program, "buildcfg"])
    except SilentError:
        return None
    match = _SUID.search(answer.out) if answer else None
    return match["is_setuid"] == "1" if match else None
