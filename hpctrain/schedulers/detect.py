"""`site: auto`: which site is this host? And which scheduler was a run directory written for?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from hpctrain.schedulers.base import Scheduler, Which
from hpctrain.schedulers.cobalt import CobaltScheduler
from hpctrain.schedulers.local import LocalScheduler
from hpctrain.schedulers.pbs import PbsScheduler
from hpctrain.schedulers.slurm import SlurmScheduler

if TYPE_CHECKING:
    from hpctrain.config.site import Site

# Slurm first, as its PBS look-alikes bring qsub and pbsnodes along; local last, as it always fits.
SCHEDULERS = (SlurmScheduler(), PbsScheduler(), CobaltScheduler(), LocalScheduler())


def detect_site(
    hostnames: Iterable[str], sites: Iterable[Site], which: Which, around: str = ""
) -> str:
    """Name of the site that a host belongs to.

    Args:
        hostnames: names of the host, short and full.
        sites: those whose name patterns are tried first.
        which: finds a command in PATH.
        around: scheduler of the job that this is called in; of several that are here it counts.
    """
    names = list(hostnames)
    for site in sites:
        if any(fnmatchcase(name, glob) for glob in site.hostnames for name in names):
            return site.name
    here = [s for s in SCHEDULERS if s.is_here(which)]
    return next((s for s in here if s.name == around), here[0]).generic_site


def find_scheduler(name: str) -> Scheduler:
    """The scheduler that a site names."""
    return next(s for s in SCHEDULERS if s.name == name)


def scheduler_of(run_dir: Path) -> Scheduler | None:
    """The scheduler whose run script lies in a directory; None: there is no such script.

    Where several lie there, somebody put the others beside what was rendered.
    """
    there = [s for s in SCHEDULERS if (run_dir / s.script).is_file() or _has_parts(run_dir, s)]
    if len(there) > 1:
        try:
            rendered = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))["files"]
        except (OSError, ValueError, KeyError, TypeError):
            rendered = ()
        there = [s for s in there if s.script in rendered] or there
    return there[0] if there else None


def _has_parts(folder: Path, scheduler: Scheduler) -> bool:
    """Whether a sweep's arrays lie there, cut into several scripts: run-1.slurm, run-2.slurm."""
    return (folder / f"run-1{Path(scheduler.script).suffix}").is_file()
