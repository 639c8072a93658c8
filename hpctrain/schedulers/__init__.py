"""Schedulers: who takes a run script, which of them a host has, and what becomes of a job."""

from hpctrain.schedulers.base import JobStatus as JobStatus
from hpctrain.schedulers.base import Scheduler as Scheduler
from hpctrain.schedulers.detect import SCHEDULERS as SCHEDULERS
from hpctrain.schedulers.detect import detect_site as detect_site
from hpctrain.schedulers.detect import find_scheduler as find_scheduler
from hpctrain.schedulers.detect import scheduler_of as scheduler_of
from hpctrain.schedulers.query import find_states as find_states

__all__ = [
    "SCHEDULERS",
    "JobStatus",
    "Scheduler",
    "detect_site",
    "find_scheduler",
    "find_states",
    "scheduler_of",
]
