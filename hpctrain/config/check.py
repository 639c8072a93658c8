"""Does a job fit a site: rules that no schema of one of them can hold."""

from __future__ import annotations

from hpctrain.config.job import Job
from hpctrain.config.site import Limits, Site
from hpctrain.config.walltime import format_walltime
from hpctrain.errors import ConfigError


def check(job: Job, site: Site) -> list[str]:
    """Compare what a job asks for with what a site has.

    Returns:
        Notes on values that have no effect on this site.

    Raises:
        ConfigError: everything that does not fit, one line each.
    """
    parts = (_node, _size, _required, _queue, _shortest)
    faults = [fault for part in parts for fault in part(job, site)]
    if faults:
        raise ConfigError("\n".join(f"job {job.name} on site {site.name}: {f}" for f in faults))
    return _notes(job, site)


def _node(job: Job, site: Site) -> list[str]:
    ask = job.resources
    faults = []
    for what, each, have in (
        ("cpus", ask.cpus_per_rank, site.cpus_per_node),
        ("gpus", ask.gpus_per_rank, site.num_gpus),
    ):
        total = ask.ranks_per_node * each
        if (
            have is not None
            and total > have
            and not (what == "cpus" and site.launcher.oversubscribe)
        ):
            fits = have // each
            faults.append(
                f"resources: ranks_per_node {ask.ranks_per_node} x {what}_per_rank {each} = "
                f"{total}, and a node has {have} {what}"
                + (f"; ranks_per_node: {fits} fits" if fits else "")
            )
    if ask.gpus_per_rank and site.mask_variable is None:
        faults.append(
            f"resources.gpus_per_rank: found {ask.gpus_per_rank}; this machine has no GPUs"
        )
    return faults


def _size(job: Job, site: Site) -> list[str]:
    if site.max_nodes is not None and job.resources.nodes > site.max_nodes:
        return [f"resources.nodes: found {job.resources.nodes}; allowed: {site.max_nodes} or fewer"]
    if site.launcher.kind == "none" and job.total_ranks > 1:
        return [
            f"resources: {job.total_ranks} ranks, and this site has no launcher; allowed: one rank"
        ]
    return []


def _required(job: Job, site: Site) -> list[str]:
    faults = [
        f"resources.{name}: is missing, and this scheduler refuses jobs without it"
        for name in site.directives.required
        if not getattr(job.resources, name)
    ]
    unknown = [
        f for f in job.resources.filesystems if site.filesystems and f not in site.filesystems
    ]
    if unknown:
        faults.append(
            f"resources.filesystems: unknown {', '.join(unknown)}; "
            f"choose from {', '.join(site.filesystems)}"
        )
    return faults


def _queue(job: Job, site: Site) -> list[str]:
    ask = job.resources
    if ask.queue is None or not site.queues:
        return []
    limits = site.queues.get(ask.queue, site.queues.get("*"))
    if limits is None:
        return [
            f"resources.queue: unknown queue {ask.queue!r}; choose from {', '.join(site.queues)}"
        ]
    if not limits or any(_fits(ask.nodes, ask.walltime, limit) for limit in limits):
        return []
    legal = "; ".join(_legal(limit) for limit in limits)
    return [
        f"resources: {ask.nodes} nodes for {format_walltime(ask.walltime)} is not possible "
        f"in queue {ask.queue}; allowed: {legal}"
    ]


def _shortest(job: Job, site: Site) -> list[str]:
    found, least = job.resources.walltime, site.min_walltime or 0
    if found >= least:
        return []
    return [
        f"resources.walltime: found {format_walltime(found)}; "
        f"allowed: {format_walltime(least)} or more"
    ]


def _fits(nodes: int, walltime: int, limit: Limits) -> bool:
    return (
        limit.nodes[0] <= nodes <= limit.nodes[1]
        and (limit.min_walltime or 0) <= walltime <= limit.walltime
    )


def _legal(limit: Limits) -> str:
    low, high = limit.nodes
    size = f"{low}" if low == high else f"{low} to {high}"
    times = f"up to {format_walltime(limit.walltime)}"
    if limit.min_walltime:
        times = f"from {format_walltime(limit.min_walltime)} {times}"
    return f"{size} nodes {times}"


def _notes(job: Job, site: Site) -> list[str]:
    ask, none = job.resources, []
    if site.scheduler == "local":
        none += [name for name in ("queue", "account") if getattr(ask, name)]
    if ask.filesystems and site.directives.filesystems is None:
        none.append("filesystems")
    return [f"resources.{name} has no effect on site {site.name}" for name in none]
