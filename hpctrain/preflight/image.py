"""The container image of a job: there, and made for this machine's MPI and GPUs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from hpctrain.config.binds import bind_texts, stage_folder
from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.engines import Engine, choose_engine, make_box
from hpctrain.errors import RenderError
from hpctrain.preflight.ask import SilentError
from hpctrain.preflight.here import is_of
from hpctrain.preflight.images import fit_findings, read_image
from hpctrain.preflight.images.check import wanted_by
from hpctrain.preflight.images.host import host_facts
from hpctrain.preflight.images.look import Look, with_remedy
from hpctrain.preflight.images.namespace import namespace_findings
from hpctrain.preflight.images.place import place_findings
from hpctrain.preflight.images.shown import shown_findings
from hpctrain.preflight.images.targets import target_findings
from hpctrain.preflight.images.users import user_findings

INSIDE_S = 30.0
"""How long to wait for the inside of an image whose labels say most already."""


def image_findings(job: Job, site: Site, run_dir: Path) -> Iterator[Finding]:
    """Look at the image of a job with absolute paths, at its labels, and inside."""
    container, where = job.container, "container.image"
    if container is None:
        return
    try:
        engine = choose_engine(job, site)
    except RenderError as e:
        yield error("container.engine", str(e).removeprefix("container: "))
        return
    image = container.image
    if not engine.takes_files:
        if "://" not in image:
            text = f"{image} is a file, and {engine.program} starts images of its own store"
            yield error(where, f"{text}; name one as docker://NAME:TAG ({engine.program} images)")
            return
    elif "://" in image:
        yield warning(where, f"{image} would be fetched by every rank; build a file of it first")
        return
    elif not os.path.exists(image):
        first = "" if run_dir.is_dir() else "render the job, and "
        text = f"{image}: no such file; {first}build it: {build_words(image, run_dir)}"
        yield error(where, text)
        return
    else:
        yield from place_findings(image, engine, site, where, is_here=is_of(site))
    yield from _inside(job, site, engine, run_dir)


def build_words(image: str, run_dir: Path) -> str:
    """The command that builds an image of a run's own definition, and goes on where it failed."""
    return shlex.join(["hpctrain", "container", "build", str(run_dir), "-o", image])


def _inside(job: Job, site: Site, engine: Engine, run_dir: Path) -> Iterator[Finding]:
    where = "container.image"
    if job.container is None:
        return
    binds = bind_texts(job, site.container.binds, stage_folder(job, site.scratch))
    yield from target_findings(engine, job.container.image, [*binds, str(run_dir)])
    yield from user_findings(job, site, engine, where)
    yield from shown_findings(job, site, engine, where)
    there = [bind for bind in binds if os.path.exists(bind.partition(":")[0])]
    box = make_box(job, site, there, "/", [])
    # another Python than the image's own may bring its own MPI and packages; else labels say all
    # but what depends on the machine: PMIx, and the file that each name of a library leads to
    needs_host = site.container.abi == "bind" or wanted_by(job, site).needs_mpi
    own = job.launch.python
    try:
        look = read_image(
            *(engine, box, own or "python3", job.launch.comm),
            is_entered=own is not None or (needs_host and is_of(site)),
            patience_s=INSIDE_S,
        )
    except SilentError as e:
        yield from namespace_findings(job, site, engine, where)
        yield _broken(site)(where, f"{box.image}: cannot be read: {e}")
        return
    yield from namespace_findings(job, site, engine, where, look.facts if look else None)
    if look is None:
        text = f"{engine.program} is not in PATH here, so the image is not compared with the site"
        yield note("container.engine", text)
    else:
        yield from _compared(look, job, site, where)


def _compared(look: Look, job: Job, site: Site, where: str) -> Iterator[Finding]:
    image = job.container.image if job.container else ""
    if look.facts is None:
        text = f"{image}: whether its MPI fits is not known, as it cannot be read"
        yield _broken(site)(where, f"{text}: {with_remedy(look.reason)}")
        return
    if look.reason:
        text = f"{image} is compared by its labels alone, as its inside cannot be read"
        yield warning(where, f"{text}: {with_remedy(look.reason)}")
    wanted = wanted_by(job, site)
    host = host_facts(wanted.launcher) if is_of(site) else None
    yield from fit_findings(look.facts, host, wanted, site, where)


def _broken(site: Site) -> Callable[[str, str], Finding]:
    """How to say that an image cannot be read: another machine may lack what it needs."""
    return error if is_of(site) else warning
