"""Container engines: what starts a program inside an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hpctrain.config.job import Container, Job
from hpctrain.config.site import Site
from hpctrain.engines.apptainer import ApptainerEngine, SingularityEngine
from hpctrain.engines.base import Box as Box
from hpctrain.engines.base import Engine as Engine
from hpctrain.engines.charliecloud import CharliecloudEngine
from hpctrain.engines.podman_hpc import PodmanHpcEngine
from hpctrain.errors import RenderError

ENGINES: dict[str, type[Engine]] = {
    "apptainer": ApptainerEngine,
    "singularity": SingularityEngine,
    "charliecloud": CharliecloudEngine,
    "podman-hpc": PodmanHpcEngine,
}

__all__ = [
    "ENGINES",
    "Box",
    "Engine",
    "box_of_site",
    "choose_engine",
    "engine_of_site",
    "has_ranks_apart",
    "make_box",
]


def choose_engine(job: Job, site: Site) -> Engine:
    """The engine that the job names, or else the site.

    Raises:
        RenderError: neither names one.
    """
    own = job.container.engine if job.container else None
    return ENGINES[own]() if own else engine_of_site(site)


def engine_of_site(site: Site) -> Engine:
    """The engine that the site names.

    Raises:
        RenderError: it names none.
    """
    name = site.container.engine
    if name == "none":
        raise RenderError(
            f"container: site {site.name} has no container engine (container.engine: none); train "
            "without an image (--set container=null), or name an engine that you have there in "
            "container.engine"
        )
    return ENGINES[name]()


def has_ranks_apart(job: Job, site: Site) -> bool:
    """Whether ranks of a node may have a user namespace each, beyond which no memory is read."""
    is_alone = job.resources.ranks_per_node == 1
    if job.container is None or is_alone or job.launch.launcher == "torchrun":
        return False
    return choose_engine(job, site).makes_namespaces and not site.container.one_namespace


def make_box(job: Job, site: Site, binds: list[str], workdir: str, passed: list[str]) -> Box:
    """What the ranks of a job need of its image.

    A job that chooses another engine than the site's gets none of the words meant for that one.

    Args:
        job: a job with a container.
        site: the site.
        binds: what is shown inside, in order.
        workdir: where programs start.
        passed: variables that every rank must get.
    """
    if job.container is None:
        raise TypeError("a job without a container has no box")
    is_shared = site.container.one_namespace and job.launch.launcher != "torchrun"
    return replace(
        box_of_site(job.container, site, binds),
        workdir=workdir,
        device=_device_of(job, site),
        # torchrun has one container a node anyway
        ranks_per_node=job.resources.ranks_per_node if is_shared else 0,
        # rank.sh sets the mask between launcher and image, so the launcher is not told of it
        passed=[*passed, *([site.mask_variable] if site.mask_variable else [])],
    )


def box_of_site(container: Container, site: Site, binds: list[str]) -> Box:
    """What any program needs of an image on this machine."""
    own = site.container
    is_sites = container.engine in (None, own.engine)
    return Box(
        image=container.image,
        binds=binds,
        args=own.args if is_sites else (),
        library_path=own.library_path,
        env=own.env,
    )


def _device_of(job: Job, site: Site) -> Literal["", "cuda", "rocm"]:
    """Whose GPUs the ranks use."""
    if not job.resources.gpus_per_rank:
        return ""
    return "cuda" if site.container.gpu_flag == "--nv" else "rocm"
