"""The number of parts of a divided order, settled once: a resume on other ranks must keep it."""

from __future__ import annotations

from pathlib import Path

from hpctrain.config.job import Job
from hpctrain.config.load import read_resolved
from hpctrain.errors import HpctrainError


def with_parts(job: Job, origin: Path | None = None) -> Job:
    """The job with a number of parts, if its order is divided and it names none.

    Args:
        job: the job.
        origin: run directory whose order it goes on with; None: one part a rank.
    """
    order = job.data.order
    if order.kind == "global" or order.parts is not None:
        return job
    parts = (origin and _parts_of(origin)) or job.total_ranks
    data = job.data.model_copy(update={"order": order.model_copy(update={"parts": parts})})
    return job.model_copy(update={"data": data})


def _parts_of(origin: Path) -> int | None:
    try:
        return read_resolved(origin / "config.yaml").data.order.parts
    except (OSError, HpctrainError):
        return None  # of another version; the trainer knows what the checkpoint holds
