"""Compare an image with a machine; every finding names the remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.config.site import LauncherSpec, Site
from hpctrain.launchers import choose_launcher, make_launcher
from hpctrain.preflight.images.devices import device_findings
from hpctrain.preflight.images.facts import ImageFacts
from hpctrain.preflight.images.host import HostFacts
from hpctrain.preflight.images.libraries import newest_glibc, number
from hpctrain.preflight.images.pmi import pmi_findings

_SONAMES = {"openmpi": "libmpi.so.40", "mpich": "libmpi.so.12"}
_NAMES = {"openmpi": "Open MPI", "mpich": "MPICH"}
_BUILD = "build it for this site (hpctrain container render --site NAME)"


@dataclass(frozen=True)
class Wanted:
    """What the ranks want of image and machine.

    Attributes:
        launcher: what starts them.
        comm: how they talk; `launch.comm` of a job.
        device: cpu, cuda or rocm; empty: not known.
        env: variables that the run script sets.
    """

    launcher: LauncherSpec
    comm: str = "auto"
    device: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_mpi(self) -> bool:
        """Whether they cannot do without; torch's DDP can."""
        return self.comm in ("auto", "horovod", "mpi")


def wanted_by(job: Job | None, site: Site) -> Wanted:
    """What a job wants, or any job of the site."""
    if job is None:
        return Wanted(site.launcher, env=site.env)
    device = "rocm" if site.container.gpu_flag == "--rocm" else "cuda"
    comm = "ddp" if job.launch.launcher == "torchrun" else job.launch.comm
    comm = "single" if job.total_ranks == 1 else comm
    device = device if job.resources.gpus_per_rank else "cpu"
    env = {**site.env, **job.launch.env}
    return Wanted(choose_launcher(job, site).spec, comm, device, env)


def fit_findings(
    image: ImageFacts, host: HostFacts | None, wanted: Wanted, site: Site, where: str
) -> Iterator[Finding]:
    """Compare what is known; what is not known is left out.

    Args:
        image: of the image.
        host: of this host; None: it is none of the site's, so it says nothing.
        wanted: by the ranks.
        site: the site.
        where: what findings are about.
    """
    yield from _family(image, wanted, site, where)
    yield from _libraries(image, wanted, site, where)
    yield from _launcher(image, host, wanted, where)
    if wanted.comm != "single":
        yield from pmi_findings(
            image, host, wanted.launcher, wanted.env, where, is_needed=wanted.needs_mpi
        )
    if host is not None and image.arch and host.arch and image.arch != host.arch:
        text = f"is made for {image.arch}, and this host is {host.arch}"
        yield error(where, f"{text}; build it on a machine like the compute nodes")
    yield from device_findings(image, host, wanted.device, site, where)
    if wanted.comm == "horovod" and image.has_horovod is False:
        text = "holds no Horovod, and launch.comm is horovod"
        yield error(where, f"{text}; build it with Horovod, or set launch.comm: ddp")


def _family(image: ImageFacts, wanted: Wanted, site: Site, where: str) -> Iterator[Finding]:
    own, say = site.container.mpi, error if wanted.needs_mpi else warning
    if image.mpi and image.mpi != own:
        text = f"holds {_NAMES[image.mpi]} {image.mpi_version}, and site {site.name} has MPI of the"
        yield say(where, f"{text} family {own}: these never work together; {_BUILD}")
    if not image.mpi and image.source == "inside" and wanted.comm in ("horovod", "mpi"):
        text = "has no MPI library that loads"
        yield error(where, f"{text}; {_BUILD}, or set launch.comm: ddp")
    for text in image.missing:
        kind = "Horovod or mpi4py in it asks for a library that it does not find"
        yield say(where, f"{kind}: {text}; {_BUILD}, or see abi: bind of the site")


def _libraries(image: ImageFacts, wanted: Wanted, site: Site, where: str) -> Iterator[Finding]:
    """With the bind model: whether the host's library takes the place of the image's."""
    if site.container.abi != "bind":
        return
    say = error if wanted.needs_mpi else warning
    soname = _SONAMES[site.container.mpi]
    if image.soname and image.soname != soname:
        text = f"asks for {image.soname}, and the host's MPI is {soname}, so it cannot be put in"
        yield say(where, f"its place cannot be taken: it {text}; {_BUILD}")
    folders = os.path.expandvars(":".join(site.container.library_path)).split(":")
    known = [os.path.realpath(f) for f in folders if f and "$" not in f and os.path.isdir(f)]
    if known and image.library and not _is_in(image.library, [*folders, *known]):
        text = f"{soname} leads to {image.library}, the image's own, and not to the host's"
        yield say(where, f"{text}; check container.library_path and binds of site {site.name}")
    newest, library = newest_glibc(known, soname)
    if image.glibc and newest and number(newest) > number(image.glibc):
        text = f"has glibc {image.glibc}, and the host's {library} needs {newest}"
        yield say(where, f"{text}; build it from a newer base image")


def _is_in(path: str, folders: list[str]) -> bool:
    return any(folder and path.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def _open_mpi(theirs: str, host: HostFacts, wanted: Wanted, where: str) -> Iterator[Finding]:
    """Seen with 5.0.11, 4.1.8 and 4.1.4: 5 starts under 4, and 4 is alone under 5."""
    ours = host.launcher_version
    if theirs and number(ours)[0] > 4 >= number(theirs)[0]:
        text = f"holds Open MPI {theirs}, which does not know the daemons of {host.program} {ours}"
        say = error if wanted.needs_mpi else warning
        yield say(
            where,
            f"{text}: every rank would be rank 0 of 1; build it with Open MPI 5, or load Open MPI "
            f"{number(theirs)[0]} on the host",
        )
    elif theirs and number(ours)[0] < 4:
        text = f"holds Open MPI {theirs}, and {host.program} here is {ours}"
        yield warning(where, f"{text}; try with two ranks before a long job")


def _launcher(
    image: ImageFacts, host: HostFacts | None, wanted: Wanted, where: str
) -> Iterator[Finding]:
    """Whether the program that starts ranks is the one that is meant, and how old it is."""
    kind = wanted.launcher.kind
    if host is None or kind == "none":
        return
    if host.launcher and host.launcher != kind and {host.launcher, kind} <= {"openmpi", "hydra"}:
        text = f"{host.program} in PATH is of the family {host.launcher}, and the site says {kind}"
        yield error("launcher", f"{text}; load the module of the other MPI, or name its command")
    elif kind == "openmpi" and image.mpi == "openmpi" and host.launcher_version:
        yield from _open_mpi(image.mpi_version, host, wanted, where)
    if not host.launcher_version and make_launcher(wanted.launcher).program:
        text = f"{host.program} is not in PATH, or does not say its version"
        yield note("launcher", f"{text}; what depends on it was not compared")
