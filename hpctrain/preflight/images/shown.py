"""Words of the site that hide from an image what the launcher lays down on its node."""

from __future__ import annotations

from collections.abc import Iterator

from hpctrain.config.finding import Finding, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.engines import Engine
from hpctrain.preflight.images.check import wanted_by


def shown_findings(job: Job, site: Site, engine: Engine, where: str) -> Iterator[Finding]:
    """`--contain` under mpirun; srun's PMIx was seen to start ranks in spite of it.

    Binding /tmp and /dev/shm by hand did not help: Open MPI 5.0.7 aborted all the same.
    """
    wanted, own = wanted_by(job, site), site.container
    is_sites = job.container is not None and job.container.engine in (None, own.engine)
    if not (is_sites and engine.binds_variable and wanted.needs_mpi):
        return
    hiding = [word for word in own.args if word.partition("=")[0] in ("--contain", "-c")]
    if hiding and wanted.launcher.kind == "openmpi":
        text = f"{hiding[0]} in container.args of site {site.name} hides /tmp and /dev/shm of the"
        text += " node, in which ranks find their launcher and each other: Open MPI 5 in the image"
        yield warning(where, f"{text} aborts, and Open MPI 4 is left with TCP; leave it out")
