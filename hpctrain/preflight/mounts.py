"""Do the job's paths lie on file systems that it names? Others may be away while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hpctrain.config.binds import parse
from hpctrain.config.finding import Finding, error
from hpctrain.config.job import Job
from hpctrain.config.site import Site


def mount_findings(job: Job, site: Site, run_dir: Path) -> Iterator[Finding]:
    """Compare real paths with the folders of the file systems that `resources` names.

    Args:
        job: with absolute paths.
        site: the site; without `mounts` nothing is known.
        run_dir: absolute path of the run directory.
    """
    named = job.resources.filesystems
    if site.directives.filesystems is None or not named:
        return
    for where, path in _paths(job, run_dir):
        owner = _owner(path, site)
        if owner is not None and owner not in named:
            text = f"{path} lies on the file system {owner}, which the job does not name; allowed: "
            yield error(where, f"{text}{', '.join(named)}; add {owner} to resources.filesystems")


def _paths(job: Job, run_dir: Path) -> Iterator[tuple[str, str]]:
    yield "data.root", job.data.root
    yield "run directory", str(run_dir)
    if job.launch.python and os.path.isabs(job.launch.python):
        yield "launch.python", job.launch.python
    if job.container:
        if "://" not in job.container.image:
            yield "container.image", job.container.image
        for bind in job.container.binds:
            yield "container.binds", parse(bind).source


def _owner(path: str, site: Site) -> str | None:
    """The file system whose folder holds a path, links followed; the longest folder wins."""
    spellings = {os.path.normpath(path), os.path.realpath(path)}
    found = [
        (len(folder), name)
        for name, folders in site.mounts.items()
        for folder in folders
        for top in {os.path.normpath(folder), os.path.realpath(folder)}
        for spelling in spellings
        if spelling == top or spelling.startswith(f"{top.rstrip('/')}/")
    ]
    return max(found)[1] if found else None
