"""Options that several commands of `hpctrain container` share, and the definition they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hpctrain.config.job import Job
    from hpctrain.config.site import Site

Mpi = Annotated[
    str | None, typer.Option("--mpi", help="ABI family: openmpi or mpich; default: the site's.")
]
MpiFrom = Annotated[
    str | None,
    typer.Option(
        "--mpi-from",
        help="source: compile a release; distribution: its package (default for debian12).",
    ),
]
MpiVersion = Annotated[str | None, typer.Option("--mpi-version", help="Release to compile.")]
MpiSource = Annotated[
    str | None,
    typer.Option(
        "--mpi-source",
        metavar="FILE",
        help="Archive of the release to compile, where its host cannot be reached.",
    ),
]
Device = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda or rocm; default: the job's, or cpu.")
]
Comm = Annotated[
    str | None,
    typer.Option("--comm", help="horovod, or ddp for an image without it; default: the job's."),
]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="docker://IMAGE, debian12 (packages of a mirror, no registry), or an image's path.",
    ),
]
Mirror = Annotated[str | None, typer.Option("--mirror", help="Mirror of Debian for debian12.")]
PipIndex = Annotated[str | None, typer.Option("--pip-index", help="Index of Python packages.")]
TorchIndex = Annotated[
    str | None,
    typer.Option("--torch-index", help="Index of torch; `pip`: the one of the other packages."),
]


@dataclass(frozen=True)
class Wanted:
    """A definition, and what it was made for.

    Attributes:
        text: of the definition.
        device: cpu, cuda or rocm; None: the definition is from elsewhere.
        folder: where its relative paths start.
        job: that it is for, if any.
        site: that it is for, if any.
    """

    text: str
    device: str | None
    folder: Path
    job: Job | None = None
    site: Site | None = None


def make(
    job_name: str | None,
    site_name: str | None,
    overrides: Sequence[str],
    given: Mapping[str, str | None],
) -> Wanted:
    """The definition for a job, a site, or options alone; what was given comes first."""
    from hpctrain import __version__
    from hpctrain.cli.job import load, site_named
    from hpctrain.container import definition, recipe
    from hpctrain.container.mpi_source import refuse_unfit
    from hpctrain.errors import ConfigError
    from hpctrain.render.code import revision_of
    from hpctrain.render.container import builder_of, job_options, site_notes, site_options

    job: Job | None = None
    site: Site | None = None
    options: dict[str, Any] = {}
    if job_name is not None:
        resolved = load(job_name, overrides, site_name)
        job, site = resolved.job, resolved.site
        options = dict(job_options(job, site))
    elif overrides:
        raise ConfigError("--set: has no effect without a job; name one")
    elif site_name is not None:
        site = site_named(site_name)
        options = dict(site_options(site))
    options = _merged(options, given)
    wanted = recipe(**options, cwd=Path.cwd(), notes=site_notes(site) if site else ())
    if wanted.source:
        named = "--mpi-source"
        if site and given.get("source") is None:
            named = f"site {site.name}: container.build.mpi_source"
        refuse_unfit(wanted.source, wanted.family, named)
    title = f"Image for {f'job {job.name} on ' if job else ''}{site.title if site else 'hpctrain'}."
    text = definition(
        wanted,
        version=__version__,
        revision=revision_of(),
        title=title,
        engine=builder_of(job, site),
    )
    return Wanted(text, options.get("device") or "cpu", Path.cwd(), job, site)


def _merged(options: Mapping[str, Any], given: Mapping[str, str | None]) -> dict[str, Any]:
    """A site's options under those that were given, less what the site meant for its own MPI."""
    named = {name for name, value in given.items() if value is not None}
    dropped: set[str] = set()
    if given.get("family") not in (None, options.get("family")):
        dropped |= {"source", "mpi_version"}
    if given.get("mpi_from") == "distribution":
        dropped |= {"source", "mpi_version"}
    if "source" in named:
        dropped |= {"mpi_version", "mpi_from"}
    if "mpi_version" in named:
        dropped |= {"source", "mpi_from"}
    if "base" in named:
        dropped |= {"mirror", "mpi_from"}  # went with another
    kept = {name: value for name, value in options.items() if name not in dropped}
    return kept | {name: given[name] for name in named}
