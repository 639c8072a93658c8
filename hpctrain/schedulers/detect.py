"""`site: auto`: which site is this host?"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from hpctrain.config.site import Site
from hpctrain.schedulers.base import Which
from hpctrain.schedulers.kinds import (
    CobaltScheduler,
    LocalScheduler,
    PbsScheduler,
    SlurmScheduler,
)

# Slurm first, as its PBS look-alikes bring qsub and pbsnodes along; local last, as it always fits.
SCHEDULERS = (SlurmScheduler(), PbsScheduler(), CobaltScheduler(), LocalScheduler())


def detect_site(hostnames: Iterable[str], sites: Iterable[Site], which: Which) -> str:
    """Name of the site that a host belongs to.

    Args:
        hostnames: names of the host, short and full.
        sites: those whose name patterns are tried first.
        which: finds a command in PATH.
    """
    names = list(hostnames)
    for site in sites:
        if any(fnmatchcase(name, glob) for glob in site.hostnames for name in names):
            return site.name
    return next(s.generic_site for s in SCHEDULERS if s.is_here(which))
