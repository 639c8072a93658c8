"""How ranks get into their image: the engine's words, its variables, and the copy on each node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hpctrain.config.binds import bind_texts, stage_folder
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.engines import Engine, choose_engine, has_ranks_apart, make_box
from hpctrain.engines.base import CMA, HOST_PREFIXES, LIBRARY_PATH
from hpctrain.errors import RenderError
from hpctrain.launchers import choose_launcher
from hpctrain.render.shell import shquote
from hpctrain.shell_words import ShellText, ShellVariable

RUN = ShellVariable("run")
SCRIPT = "image.sh"


@dataclass(frozen=True)
class ImageStart:
    """What the run script says of a job's image.

    Attributes:
        program: the engine's command.
        words: in front of the program that runs inside.
        exports: lines that set variables for the inside, after the site's own.
        names: variables that every rank must get, beside the usual ones.
        copied: the image file and the folder of each node that it is copied to; empty: it is not.
        needs_user: whether the engine wants USER to be set.
        apart: family of the MPI that must not try to read another rank's memory; empty: it may.
    """

    program: str
    words: list[str]
    exports: list[str]
    names: list[str]
    copied: tuple[str, ...]
    needs_user: bool
    apart: str


def image_start(job: Job, site: Site, passed: list[str]) -> ImageStart:
    """Find the words for a job with a container.

    Args:
        job: with absolute paths.
        site: the site.
        passed: variables that every rank must get anyway.

    Raises:
        RenderError: there is no engine, or no disk to copy to.
    """
    engine = choose_engine(job, site)
    if job.container is None:
        raise TypeError("a job without a container")
    binds = [*bind_texts(job, site.container.binds, stage_folder(job, site.scratch)), RUN]
    apart = _apart(job, site)
    # image_environment.sh.j2 sets it; an engine that hands on nothing by itself must be told, too
    cma = [CMA] if apart == "mpich" else []
    words = engine.command(make_box(job, site, binds, RUN, [*passed, *cma]))
    if not engine.reads_image_environment:
        words += ["/bin/sh", _script(), "inside"]
    if site.container.abi == "hybrid" and choose_launcher(job, site).spec.kind == "openmpi":
        # an Open MPI in the image would look for its parts where the host's lie
        words = ["env", *(word for name in HOST_PREFIXES for word in ("-u", name)), *words]
    copied = _copied(job, site, engine.takes_files)
    if copied:
        words = ["/bin/sh", _script(), "run", *copied, *words]
    needs_user = engine.program == "ch-run"
    names = [*_inside(engine, site), *(["USER"] if needs_user else []), *cma]
    lines = exports(engine, site)
    return ImageStart(engine.program, words, lines, names, copied, needs_user, apart)


def _apart(job: Job, site: Site) -> str:
    """MPICH 5 ends a job at its first large message, whether it is the image's or the host's."""
    own = site.container
    is_left = own.mpi == "openmpi" and own.abi == "bind"
    return own.mpi if has_ranks_apart(job, site) and not is_left else ""


def exports(engine: Engine, site: Site) -> list[str]:
    """Shell lines that set what the site wants inside the image."""
    own = {name: engine.escaped(value) for name, value in site.container.env.items()}
    return _exports(own, _inside(engine, site))


def _inside(engine: Engine, site: Site) -> list[str]:
    """Names by which the engine takes them."""
    if not engine.prefix:
        return []
    names = [f"{engine.prefix}{name}" for name in site.container.env]
    path = [f"{engine.prefix}LD_LIBRARY_PATH"] if site.container.abi == "bind" else []
    return [*path, *names]


def _exports(own: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Shell lines; the host's MPI stands in a variable of the script."""
    lines = []
    for name in names:
        value = own.get(name.partition("ENV_")[2])
        text = f'"${LIBRARY_PATH}"' if value is None else shquote(value)
        lines.append(f"export {name}={text}")
    return lines


def library_path(site: Site) -> str:
    """Folders of the host's MPI as the text of a variable, $NAMES to be expanded; or nothing."""
    text = ":".join(site.container.library_path)
    return re.sub(r"\\\$(\w|\{\w+\})", r"$\1", re.sub(r'([\\"$`])', r"\\\1", text))


def _script() -> ShellText:
    return ShellText(RUN, f"/{SCRIPT}")


def needs_script(job: Job, site: Site) -> bool:
    """Whether image.sh belongs to the run."""
    if job.container is None:
        return False
    engine = choose_engine(job, site)
    return not engine.reads_image_environment or bool(_copied(job, site, engine.takes_files))


def _copied(job: Job, site: Site, takes_files: bool) -> tuple[str, ...]:
    container = job.container
    if container is None:
        return ()
    asked = container.copy_to_node
    if not (site.container.copy_to_node if asked is None else asked):
        return ()
    if not takes_files or "://" in container.image:
        raise RenderError(
            "container.copy_to_node: only image files can be copied to the nodes, and "
            f"{container.image} is none; leave it out (--set container.copy_to_node=false)"
        )
    if not site.scratch:
        raise RenderError(
            f"container.copy_to_node: site {site.name} names no disk of each node's own; give its "
            "folder in the site's `scratch`, or leave it out"
        )
    return container.image, site.scratch
