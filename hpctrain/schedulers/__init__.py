"""Schedulers: who takes a run script, and which of them a host has."""

from hpctrain.schedulers.base import Scheduler as Scheduler
from hpctrain.schedulers.detect import SCHEDULERS as SCHEDULERS
from hpctrain.schedulers.detect import detect_site as detect_site


def find_scheduler(name: str) -> Scheduler:
    """The scheduler that a site names."""
    return next(s for s in SCHEDULERS if s.name == name)


__all__ = ["SCHEDULERS", "Scheduler", "detect_site", "find_scheduler"]
