"""A training longer than one walltime: how the job hands itself in again."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpctrain.config.schema import Schema


class Chain(Schema):
    """Go on in further jobs until the training is finished."""

    max_jobs: int = Field(default=10, ge=2, le=1000)
    """Most jobs in all, the first included."""
    how: Literal["auto", "resubmit", "requeue", "presubmit"] = "auto"
    """resubmit (auto): the script hands itself in again at its end; requeue: Slurm starts the same
    job again; presubmit: `hpctrain submit` hands in all at once, each behind the last."""
