"""Step limits of queues: what is legal, and what is nearest to what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpctrain.config.finding import Finding, error
from hpctrain.config.job import Job
from hpctrain.config.site import Limits, Site
from hpctrain.config.walltime import format_walltime
from hpctrain.config.words import nearest


def queue_findings(job: Job, site: Site) -> list[Finding]:
    """Whether the job's queue takes its nodes for its walltime; if not, what it would take."""
    ask, queue = job.resources, job.resources.queue
    if queue is None or not site.queues:
        return []
    limits = site.queues.get(queue, site.queues.get("*"))
    if limits is None:
        text = f"unknown queue {queue!r}; choose from {', '.join(site.queues)}"
        return [error("resources.queue", f"{text}{nearest(queue, site.queues)}")]
    if not limits or any(fits(ask.nodes, ask.walltime, limit) for limit in limits):
        return []
    ways = [
        *_same_nodes(queue, ask.nodes, ask.walltime, limits),
        *_other_nodes(ask.nodes, ask.walltime, limits),
        *_other_queues(queue, ask.nodes, ask.walltime, site),
    ]
    asked = f"{_nodes(ask.nodes)} for {format_walltime(ask.walltime)}"
    return [error("resources", f"found {asked} in queue {queue}; {'; '.join(ways)}")]


def fits(nodes: int, walltime: int, limit: Limits) -> bool:
    """Whether a limit takes so many nodes for so many seconds."""
    return limit.nodes[0] <= nodes <= limit.nodes[1] and _takes_time(walltime, limit)


def _takes_time(walltime: int, limit: Limits) -> bool:
    return (limit.min_walltime or 0) <= walltime <= limit.walltime


def _same_nodes(queue: str, nodes: int, walltime: int, limits: Sequence[Limits]) -> Iterable[str]:
    """What the queue allows for the nodes as they are."""
    here = [limit for limit in limits if limit.nodes[0] <= nodes <= limit.nodes[1]]
    verb = "allows" if nodes == 1 else "allow"
    if not here:
        ranges = (f"{low}" if low == high else f"{low} to {high}" for low, high in _merged(limits))
        yield f"{queue} takes {' or '.join(ranges)} nodes"
    elif too_short := [limit for limit in here if limit.walltime < walltime]:
        most = max(limit.walltime for limit in too_short)
        yield f"{_nodes(nodes)} in {queue} {verb} {format_walltime(most)} at most"
    else:
        least = min(limit.min_walltime or 0 for limit in here)
        yield f"{_nodes(nodes)} in {queue} {verb} {format_walltime(least)} or more"


def _merged(limits: Iterable[Limits]) -> list[tuple[int, int]]:
    """Ranges of nodes, those that touch as one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(limit.nodes for limit in limits):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def _other_nodes(nodes: int, walltime: int, limits: Iterable[Limits]) -> Iterable[str]:
    """The nearest number of nodes below and above for which the walltime is legal."""
    legal = [limit for limit in limits if _takes_time(walltime, limit)]
    below = [limit for limit in legal if limit.nodes[1] < nodes]
    above = [limit for limit in legal if limit.nodes[0] > nodes]
    nearest = [max(below, key=lambda limit: limit.nodes[1])] if below else []
    nearest += [min(above, key=lambda limit: limit.nodes[0])] if above else []
    for limit in nearest:
        count = limit.nodes[1] if limit.nodes[1] < nodes else limit.nodes[0]
        verb = "allows" if count == 1 else "allow"
        yield f"{_nodes(count)} {verb} {format_walltime(limit.walltime)}"


def _other_queues(queue: str, nodes: int, walltime: int, site: Site) -> Iterable[str]:
    """Queues with the same nodes that take the job as it is."""
    shape = _shape(site, queue)
    taking = [
        name
        for name, limits in site.queues.items()
        if name not in (queue, "*")
        and _shape(site, name) == shape
        and any(fits(nodes, walltime, limit) for limit in limits)
    ]
    if taking:
        what, verb = ("queue", "takes") if len(taking) == 1 else ("queues", "take")
        yield f"{what} {', '.join(taking)} {verb} it as it is"


def _shape(site: Site, queue: str) -> tuple[int | None, int | None]:
    rules = site.rules_of(queue)
    return rules.cpus_per_node, rules.gpus_per_node


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"
