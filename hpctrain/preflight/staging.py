"""Whether the data fit the disk of a node that they are to be copied to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hpctrain.config.binds import stage_folder
from hpctrain.config.finding import Finding, note, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.errors import DataError, StagingError
from hpctrain.index import rows_of_job
from hpctrain.staging import expand, size_text


def staging_findings(job: Job, site: Site) -> Iterator[Finding]:
    """Compare sizes; what is not known here is said.

    Args:
        job: with absolute paths.
        site: the site.
    """
    folder = stage_folder(job, site.scratch)
    if folder is None:
        return
    needed = _node_bytes(job)
    if needed is None:
        return  # said by others
    try:
        room, where = _room(job, site, folder)
    except (StagingError, OSError) as e:
        yield warning("data.stage", f"{e}; data will be read in place")
        return
    if room is None:
        text = f"{size_text(needed)} are copied to {folder} of each node; {where}"
        yield note("data.stage", text)
    elif needed > room:
        yield warning(
            "data.stage",
            f"{size_text(needed)} are to be copied to {folder} of each node, and {where}: they "
            "will be read in place; use fewer files, more nodes with data.order.kind: divided, or "
            "another data.stage_dir",
        )


def _node_bytes(job: Job) -> int | None:
    """What a node copies at most: its parts of the training files, and all to validate on."""
    root = Path(job.data.root)
    try:
        rows = [row for row in rows_of_job(job, root) if row.status == "ok"]
        # a volume is cut into a part to train on and one to validate on, and copied once
        split_of = {
            name: row.split
            for row in rows
            for modality in row.columns.modalities
            for name in row.paths(modality)
        }
        sizes = {"train": 0, "validation": 0}
        for name, split in split_of.items():
            if split in sizes:
                sizes[split] += os.stat(root / name).st_size
    except (DataError, OSError):
        return None
    train = sizes["train"]
    order = job.data.order
    if order.kind == "divided" and order.deal == "fixed":
        train = -(-train // job.resources.nodes)
    return train + sizes["validation"]


def _room(job: Job, site: Site, folder: str) -> tuple[float | None, str]:
    """Bytes that the disk has, and how that is known."""
    if site.scheduler == "local":  # the node is this one
        place = os.statvfs(expand(folder))
        free = place.f_bavail * place.f_frsize
        return free, f"{size_text(free)} are free"
    if job.data.stage_dir is None and site.scratch_gb is not None:
        return site.scratch_gb * 1e9, f"it has {site.scratch_gb:g} GB"
    return None, "how large it is is not known here, and a node without room reads in place"
