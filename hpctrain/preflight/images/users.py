"""Who the ranks are inside of an image: PMIx takes none that says to be somebody else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hpctrain.config.finding import Finding, error
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.engines import Engine, box_of_site
from hpctrain.launchers.srun import asked_plugin
from hpctrain.preflight.images.check import Wanted, wanted_by

_KEPT = ("--userns=keep-id", "--openmpi-pmix")
_OTHERS = ("--userns", "--mpi", "--cuda-mpi", "--openmpi-pmi2")


def user_findings(job: Job, site: Site, engine: Engine, where: str) -> Iterator[Finding]:
    """Refuse words by which podman-hpc's ranks are root inside where PMIx asks who they are.

    Seen with podman 4.3.1 and Open MPI 4.1 and 5.0: `PMIX ERROR: UNREACHABLE`, and a launcher that
    waits for ever; open-mpi/ompi 12146.
    """
    wanted = wanted_by(job, site)
    if engine.program != "podman-hpc" or not wanted.needs_mpi or job.container is None:
        return
    word = _other_user(box_of_site(job.container, site, []).args)
    if word and _asks(wanted):
        yield error(
            where,
            f"{word} in the site's container.args makes ranks root inside the image, whom PMIx "
            "refuses, so that the launcher would wait for them for ever; take it out (hpctrain "
            f"then gives {_KEPT[0]}), or use {_KEPT[1]} where the site has it",
        )


def _other_user(args: Sequence[str]) -> str:
    words = " ".join(args).replace("--userns ", "--userns=").split()
    if any(word in _KEPT for word in words):
        return ""
    return next((word for word in words if word.partition("=")[0] in _OTHERS), "")


def _asks(wanted: Wanted) -> bool:
    """Whether ranks find each other by PMIx."""
    if wanted.launcher.kind == "srun":
        plugin, _ = asked_plugin(wanted.launcher.args, wanted.env)
        return plugin.startswith("pmix")
    return wanted.launcher.kind == "openmpi"
