"""The base of all schemas: unknown keys are errors, values never change."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Base of every block of a job, site or task file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
