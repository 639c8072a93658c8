"""Whether the ranks of a node can read each other's memory from inside their images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.engines import Engine, has_ranks_apart
from hpctrain.engines.base import APART
from hpctrain.preflight.ask import SilentError, ask
from hpctrain.preflight.here import is_of
from hpctrain.preflight.images.check import wanted_by
from hpctrain.preflight.images.facts import ImageFacts

_FAULTS = {"openmpi": "Open MPI 4.1 may hang", "mpich": "MPICH 5 aborts"}
_OVER_UCX = "libmpich.so.12"
"""Name of the library in MPICH packages of Debian and Ubuntu, which are ch4:ucx."""

_SUID = re.compile(r"^\w+_SUID_INSTALL=(?P<is_setuid>[01])$", re.MULTILINE)


def namespace_findings(
    job: Job, site: Site, engine: Engine, where: str, facts: ImageFacts | None = None
) -> Iterator[Finding]:
    """Warn of ranks that have a user namespace each, where they exchange gradients by MPI.

    Without setuid each start of the engine makes one, and CMA and XPMEM end at its border; Open MPI
    4.1 was seen to send large messages for ever then, and MPICH 5 to abort at the first one, so the
    run script lets them not use it. An MPICH over UCX is refused: its MPI_Init ends, whatever the
    script sets. apptainer-buildcfg(1).

    Args:
        job: the job.
        site: its site.
        engine: what starts the image.
        where: what findings are about.
        facts: of the image; None: not known.
    """
    wanted = wanted_by(job, site)
    if not has_ranks_apart(job, site) or not wanted.needs_mpi or not _makes_one(site, engine):
        return
    ranks = f"each of {job.resources.ranks_per_node} ranks of a node"
    text = f"{_lead(engine)}, so {ranks} has a user namespace of its own, and"
    if facts and _cannot_start(facts, job, site):
        yield error(
            where,
            f"{text} the image's MPICH ({facts.soname}, as packages of Debian have it) speaks by "
            "UCX, which opens what other ranks have in /proc: MPI_Init would end with 'Shared "
            f"memory error'; {_remedy(engine)}",
        )
        return
    family = site.container.mpi
    name, off = APART[family]
    is_left = family == "openmpi" and site.container.abi == "bind"
    if not is_left and wanted.env.get(name, off) == off:
        yield warning(where, f"{text} {_costs(family, site)}; {_remedy(engine)}")
    else:
        text = f"{text} {_FAULTS[family]} with large messages"
        yield warning(where, f"{text}; set {name}: {off} in launch.env, or {_remedy(engine)}")


def _cannot_start(facts: ImageFacts, job: Job, site: Site) -> bool:
    """Whether MPI_Init of the image's own MPICH is sure to be called, and to end."""
    wanted, own = wanted_by(job, site), site.container
    if facts.soname != _OVER_UCX or own.abi == "bind" or os.geteuid() == 0:
        return False  # root's ranks get no user namespaces
    if any(name.startswith("UCX_") for name in (*wanted.env, *own.env)):
        return False  # somebody has chosen how UCX goes
    reduction = job.train.reduction
    takes_horovod = reduction.op == "adasum" or (
        # on GPUs it depends on NCCL, of which labels tell nothing
        facts.has_horovod is True and wanted.device == "cpu" and reduction.compression != "bfloat16"
    )
    return wanted.comm in ("horovod", "mpi") or (wanted.comm == "auto" and takes_horovod)


def site_namespace_findings(site: Site, engine: Engine, where: str) -> Iterator[Finding]:
    """The same for any job of a site, of which it is not known what its ranks want."""
    if not site.container.one_namespace and _makes_one(site, engine):
        text = f"{_lead(engine)}, so each rank of a node has a user namespace of its own, and"
        yield note(where, f"{text} {_costs(site.container.mpi, site)}; {_remedy(engine)}")


def _costs(family: str, site: Site) -> str:
    """UCX opens what other ranks have in /proc, which ends MPI_Init across namespaces."""
    costs = "large messages between them are slower"
    if family == "mpich" and site.container.abi == "hybrid":
        return f"{costs}, and an MPICH over UCX, such as Debian's, does not start"
    return costs


def _makes_one(site: Site, engine: Engine) -> bool:
    if engine.program == "podman-hpc":  # by the site's words it may start one for all ranks
        return False
    return engine.makes_namespaces and is_of(site) and _is_setuid(engine.program) is False


def _lead(engine: Engine) -> str:
    return f"{engine.program} is not installed setuid"


def _remedy(engine: Engine) -> str:
    if engine.program == "singularity":
        return "use apptainer, which has one_namespace: true"
    return "set one_namespace: true in the site's container"


def _is_setuid(program: str) -> bool | None:
    try:
        answer = ask([program, "buildcfg"])
    except SilentError:
        return None
    match = _SUID.search(answer.out) if answer else None
    return match["is_setuid"] == "1" if match else None
