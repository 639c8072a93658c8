"""What a container shows of the files that a job reads and writes, before it is queued."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hpctrain.config.binds import Bind, Binds, bind_texts, parse, stage_folder
from hpctrain.config.data import Scroll
from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site

_MOST_FILES = 20_000
"""Files whose links are followed; a network file system answers some thousand a second."""


def bind_findings(job: Job, site: Site, run_dir: Path) -> Iterator[Finding]:
    """Compare the binds of a job with what it reads and writes.

    Args:
        job: with absolute paths.
        site: the site.
        run_dir: absolute path of the run directory, which may not exist yet.
    """
    if job.container is None:
        return
    texts = [*bind_texts(job, site.container.binds, stage_folder(job, site.scratch)), str(run_dir)]
    written = [parse(text) for text in texts]
    binds = Binds(written, os.path.realpath)
    yield from _sources(job, site)
    yield from _twice(written)
    yield from _shown("data.root", job.data.root, binds)
    yield from _shown("run directory", str(run_dir), binds, is_written=True)
    yield from _hidden_parts(job, binds)
    yield from _links(job, binds)
    yield from _stage(job, site, binds)


def _sources(job: Job, site: Site) -> Iterator[Finding]:
    for text in job.container.binds if job.container else []:
        bind = parse(text)
        if not bind.target.startswith("/"):
            yield error("container.binds", f"{text!r}: {bind.target!r} is no absolute path")
        if not os.path.exists(bind.source):
            what = f"{bind.source} does not exist; create it, or leave it out"
            yield error("container.binds", what)
    for text in site.container.binds:
        source = text.partition(":")[0]  # as the site wrote it
        if not os.path.exists(source):
            what = f"{source} does not exist here; compute nodes must have it"
            yield note(f"site {site.name}: container.binds", what)


def _twice(written: list[Bind]) -> Iterator[Finding]:
    first: dict[str, Bind] = {}
    for bind in written:
        other = first.setdefault(bind.target, bind)
        if other.source != bind.source:
            yield error(
                "container.binds",
                f"{other.source} and {bind.source} are both to be at {bind.target} in the "
                "container, which shows the first only; give another place to one of them",
            )


def _shown(where: str, path: str, binds: Binds, *, is_written: bool = False) -> Iterator[Finding]:
    """Whether a folder that is bound at its own place is what the container shows there."""
    bind, found = binds.owner(path), binds.container_to_host(path)
    if bind is None:
        return
    if found != os.path.normpath(path):
        what = f"{path} is {found} in the container, by the bind {bind.text}; change that bind"
        yield error(where, what)
    elif is_written and bind.is_read_only:
        what = f"{path} cannot be written in the container, by the bind {bind.text}; drop `ro`"
        yield error(where, what)


def _hidden_parts(job: Job, binds: Binds) -> Iterator[Finding]:
    """Other folders that are bound at places within the data."""
    root = os.path.normpath(job.data.root)
    for bind in binds.binds:
        if bind.target.startswith(f"{root}/") and bind.source != bind.target:
            yield warning(
                "data.root",
                f"{bind.target} is {bind.source} in the container, by the bind {bind.text}: files "
                "of the data in it are hidden; bind it elsewhere",
            )


def _links(job: Job, binds: Binds) -> Iterator[Finding]:
    """Files that are links to folders which the container does not show."""
    root = Path(job.data.root)
    told = set()
    for pattern in _patterns(job):
        for path in _matches(root, pattern):
            text = str(path)
            real = os.path.realpath(text)
            if os.path.realpath(root) == os.path.commonpath([os.path.realpath(root), real]):
                continue
            folder = os.path.dirname(real)
            # the link is followed in the container, where its text means what is bound there
            if folder not in told and binds.container_to_host(real) != real:
                told.add(folder)
                yield error(
                    "data.root",
                    f"{text} is a link to {real}, which no bind shows in the container; add "
                    f"{folder} to container.binds",
                )


def _patterns(job: Job) -> list[str]:
    """What finds the files of the data, each of them."""
    if isinstance(job.data, Scroll):
        own = [*job.data.volumes, *job.data.validation.volumes]
        return [text for pattern in own for text in (pattern, f"{pattern}/**/*")]
    lists = ("targets", "inputs", "validation_targets", "validation_inputs")
    return [pattern for key in lists for pattern in getattr(job.data, key, ())]


def _matches(root: Path, pattern: str) -> list[Path]:
    try:
        return list(islice(root.glob(pattern), _MOST_FILES))
    except (ValueError, NotImplementedError, OSError):
        return []  # said by others


def _stage(job: Job, site: Site, binds: Binds) -> Iterator[Finding]:
    folder = stage_folder(job, site.scratch)
    if folder is None:
        return
    if "$" in folder:
        yield note(
            "data.stage_dir",
            f"{folder} is known on the nodes only, so that it is not bound: the container must "
            "show it at the same place (apptainer binds /tmp itself), or data are read in place",
        )
        return
    yield from _shown("data.stage_dir", folder, binds, is_written=True)
