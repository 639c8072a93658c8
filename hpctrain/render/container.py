"""container.def: an Apptainer definition with the MPI family that the site's launcher needs."""

from __future__ import annotations

from typing import Any

from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.container import Recipe, definition, recipe, versions
from hpctrain.container.versions import BUILD_SCRIPT, horovod_script
from hpctrain.render.inputs import Inputs


def device_of(job: Job, site: Site) -> str:
    """What the job's ranks compute on."""
    if not job.resources.gpus_per_rank:
        return "cpu"
    return "rocm" if site.container.gpu_flag == "--rocm" else "cuda"


def job_options(job: Job, site: Site) -> dict[str, Any]:
    """Options of a recipe that a job and its site say; a command's own come before them."""
    comm = "ddp" if job.launch.comm in ("ddp", "single") else "horovod"
    options = {**site_options(site), "device": device_of(job, site), "comm": comm}
    if options["device"] != "cpu" and options["base"] in versions()["debootstrap"]:
        options |= {"base": None, "mirror": None, "mpi_from": None}  # it has no GPU's libraries
    return options


def site_options(site: Site) -> dict[str, Any]:
    """Options of a recipe that a site says."""
    own = site.container.build
    named = {"base": own.base, "mirror": own.mirror, "mpi_from": own.mpi_from}
    named |= {"mpi_version": own.mpi_version, "pip_index": own.pip_index, "source": own.mpi_source}
    return {
        "family": site.container.mpi,
        "is_replaced": site.container.abi == "bind",
        **named,
        "torch_index": own.torch_index,
        "proxy": site.proxy,
    }


def site_notes(site: Site) -> tuple[str, ...]:
    """What whoever builds an image for a site has to do there first."""
    own = site.container.build
    lines = [f"On this machine first: module {words}" for words in own.modules]
    lines += [f"and bind while it is built: --bind {bind}" for bind in own.binds]
    if site.container.abi == "bind":
        lines.append("The host's MPI of the same ABI replaces the one in here at run time.")
    return tuple(lines)


def job_recipe(job: Job, site: Site) -> Recipe:
    """The image that a job wants."""
    return recipe(**job_options(job, site), notes=site_notes(site))


def builder_of(job: Job | None, site: Site | None) -> str:
    """The program that builds the job's image; other engines take what Apptainer has built."""
    own = job.container.engine if job and job.container else None
    name = own or (site.container.engine if site else "apptainer")
    return "singularity" if name == "singularity" else "apptainer"


def job_definition(job: Job, site: Site, inputs: Inputs) -> str:
    """Text of container.def; without a revision, as another one of the same code changes no run.

    Raises:
        RenderError: the template or the table of versions is missing or wrong.
    """
    script = inputs.container_files.get(f"code/{BUILD_SCRIPT}")
    return definition(
        job_recipe(job, site),
        version=inputs.version,
        title=f"Image for job {job.name} on {site.title}.",
        engine=builder_of(job, site),
        script=script.decode() if script is not None else None,
    )


def build_files() -> dict[str, bytes]:
    """Files about the image that a run directory keeps, by path in it."""
    return {f"code/{BUILD_SCRIPT}": horovod_script().encode()}
