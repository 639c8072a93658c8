"""Folders whose names cannot stand where a script has to write them."""

from __future__ import annotations

import re

from hpctrain.config.job import Job
from hpctrain.errors import RenderError


def refuse_separators(job: Job, run_dir: str) -> None:
    """Refuse what would be cut in two where ranks or engines read it.

    Raises:
        RenderError: the run directory, or the data's root, has such a character.
    """
    # PYTHONPATH is cut at colons; --bind at colons and commas, and knows no way to quote them
    bad = ":," if job.container else ":"
    found = [c for c in bad if c in run_dir]
    if found:
        raise RenderError(
            f"{run_dir!r} has a {found[0]!r}, at which PYTHONPATH"
            f"{' or --bind' if job.container else ''} would cut it; render into another folder, "
            "with --out"
        )
    found = [c for c in bad if c in job.data.root] if job.container else []
    if found:
        raise RenderError(
            f"data.root: {job.data.root!r} has a {found[0]!r}, at which --bind would cut it; "
            "rename the folder, or train without a container"
        )


def refuse_unsafe_path(run_dir: str, scheduler: str) -> None:
    """Refuse a run directory that directives cannot name.

    Raises:
        RenderError: it has a character beside those that need no quotes.
    """
    # directives name the log folder, and Cobalt's know no quoting at all
    if not re.fullmatch(r"[A-Za-z0-9_.@+/-]+", run_dir):
        raise RenderError(
            f"{run_dir!r} cannot stand in a directive of {scheduler}; render into a folder whose "
            "path has only letters, digits and '_', '-', '.', '@', '+', with --out"
        )
