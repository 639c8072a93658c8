"""Schemas of job, site and task files, and loading them with plain errors."""

from hpctrain.config.job import Job as Job
from hpctrain.config.site import Site as Site

__all__ = ["Job", "Site"]
