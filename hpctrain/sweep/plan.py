"""How the points of a sweep share the queue: one array, one ensemble job, or single jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hpctrain.config.job import Job
from hpctrain.config.limits import fits
from hpctrain.config.site import Site
from hpctrain.errors import ConfigError
from hpctrain.launchers import choose_launcher
from hpctrain.render.command import SLOT_OPTIONS

How = Literal["array", "throttled", "ensemble"]

HOST_VARIABLES = {"srun": ("SLURM_HOSTFILE",), "aprun": (), "jsrun": ()}
"""Variables that keep a launcher to some of a job's nodes; aprun and jsrun find free ones."""


@dataclass(frozen=True)
class Plan:
    """How the points are handed in.

    Attributes:
        how: array, throttled or ensemble.
        why: the reason, for the user.
        parts: array: number of points in each submission; else empty.
        max_running: most points at a time; None: as many as the queue lets run.
        slots: ensemble: points side by side; else 0.
    """

    how: How
    why: str
    parts: tuple[int, ...] = ()
    max_running: int | None = None
    slots: int = 0


def choose(job: Job, site: Site, num_points: int, differing: Sequence[str]) -> Plan:
    """Choose how to hand in the points, as asked for or by what the queue allows.

    Args:
        job: the job that the points vary.
        site: the site as jobs of its queue see it.
        num_points: how many points there are.
        differing: parameters that change what the scheduler is asked for.

    Raises:
        ConfigError: what was asked for cannot be done; says why and what can.
    """
    asked = job.sweep.how if job.sweep else "auto"
    most = _max_running(job, site)
    no_array = "there is one point" if num_points == 1 else _no_array(job, site, differing)
    no_ensemble = _no_ensemble(job, site, differing)
    if asked == "array" and no_array:
        raise ConfigError(f"sweep.how: found 'array', and {no_array}; choose throttled or auto")
    if asked == "ensemble" and no_ensemble:
        raise ConfigError(f"sweep.how: found 'ensemble', and {no_ensemble}; choose auto")
    if asked == "throttled" and site.scheduler == "local":
        raise ConfigError("sweep.how: found 'throttled'; there is no queue here; choose auto")
    if asked == "array" or (asked == "auto" and not no_array):
        why = "asked for" if asked == "array" else "the queue takes arrays, as far as is known"
        return Plan("array", why, _parts(num_points, _max_array(job, site)), most)
    side_by_side = _slots(job, site, num_points)
    if asked == "ensemble":
        if side_by_side is None:
            raise ConfigError(
                "sweep.max_running: is missing, and no limit of nodes is known here; say how many "
                "points the ensemble shall run side by side"
            )
        return Plan("ensemble", "asked for", (), most, side_by_side)
    if asked == "auto" and not no_ensemble and side_by_side == num_points:
        return Plan(
            "ensemble", f"{no_array}, and all points fit side by side", (), most, num_points
        )
    if asked == "auto" and site.scheduler == "local" and not no_ensemble:
        return Plan("ensemble", "there is no queue here", (), most, 1)
    return Plan("throttled", "asked for" if asked == "throttled" else no_array, (), most)


def _no_array(job: Job, site: Site, differing: Sequence[str]) -> str:
    """Why there can be no array; empty where there can."""
    if site.scheduler in ("cobalt", "local"):
        return "Cobalt has no arrays" if site.scheduler == "cobalt" else "there is no queue here"
    if differing:
        return f"the points of an array ask for the same, and {', '.join(differing)} differ"
    if job.chain is not None and job.chain.how == "presubmit":
        return "with chain.how: presubmit each point has jobs of its own in the queue"
    most = _max_array(job, site)
    if most is not None and most < 3:  # an odd number in pairs leaves one, and PBS takes no 0-0
        return f"{_queue(job)} takes {f'arrays of {most} only' if most else 'no arrays'}"
    return ""


def _no_ensemble(job: Job, site: Site, differing: Sequence[str]) -> str:
    """Why there can be no ensemble; empty where there can."""
    if site.scheduler == "local":
        return ""
    if differing:
        return f"the points of an ensemble ask for the same, and {', '.join(differing)} differ"
    if job.chain is not None:
        return "a chain goes on point by point"
    is_torchrun = job.launch.launcher == "torchrun"
    kind = "torchrun" if is_torchrun else choose_launcher(job, site).spec.kind
    if kind not in HOST_VARIABLES and kind not in SLOT_OPTIONS:
        return f"launcher {kind} cannot be kept to some of a job's nodes"
    return ""


def _max_array(job: Job, site: Site) -> int | None:
    return site.rules_of(job.resources.queue).max_array


def _queue(job: Job) -> str:
    return f"queue {job.resources.queue}" if job.resources.queue else "the queue"


def _max_running(job: Job, site: Site) -> int | None:
    """Most points at a time: what was asked for, and what the queue lets run anyway."""
    asked = job.sweep.max_running if job.sweep else None
    known = [n for n in (asked, site.rules_of(job.resources.queue).max_running) if n is not None]
    return min(known, default=None)


def _parts(num_points: int, most: int | None) -> tuple[int, ...]:
    """Sizes of the arrays: as few as allowed, all nearly equal, as PBS takes no array of one."""
    count = -(-num_points // most) if most else 1
    return tuple((num_points + i) // count for i in reversed(range(count)))


def _slots(job: Job, site: Site, num_points: int) -> int | None:
    """How many points an ensemble may run side by side; None: nothing known limits them."""
    asked = job.sweep.max_running if job.sweep else None
    if site.scheduler == "local":
        return 1
    nodes = _max_nodes(job, site)
    known = [n for n in (asked, nodes // job.resources.nodes if nodes else None) if n is not None]
    return max(1, min([num_points, *known])) if known else None


def _max_nodes(job: Job, site: Site) -> int | None:
    """Most nodes that the queue gives for the walltime, as far as is known."""
    queue = job.resources.queue
    limits = site.queues.get(queue or "", site.queues.get("*", [])) if queue else []
    legal = [
        limit.nodes[1] for limit in limits if fits(limit.nodes[1], job.resources.walltime, limit)
    ]
    return max(legal, default=site.max_nodes)
