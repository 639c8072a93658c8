"""A site file against time, and against what the scheduler of the machine says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from hpctrain.config.site import Site, Source
from hpctrain.config.walltime import format_walltime
from hpctrain.schedulers.machine import LiveQueue, Machine

OLD_MONTHS = 18
"""Facts older than this are worth another look."""


def date_notes(site: Site, today: date) -> list[str]:
    """Facts without a date, or with an old one."""
    if not site.sources:
        return ["sources: is empty; say where these facts come from, and of when they are"]
    notes = (_date_note(source, today) for source in site.sources)
    return [f"sources.{i}: {note}" for i, note in enumerate(notes) if note]


def _date_note(source: Source, today: date) -> str:
    match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])(-\d\d)?", source.date)
    if match is None:
        return f"found the date {source.date!r}; allowed: YYYY-MM or YYYY-MM-DD"
    months = 12 * (today.year - int(match[1])) + today.month - int(match[2])
    if months <= OLD_MONTHS:
        return ""
    return f"{source.fact!r} is of {source.date}, {months} months ago; see {source.source}"


def closed_notes(site: Site, machine: Machine) -> list[str]:
    """Queues of the file that take no jobs now, which may be another tomorrow."""
    closed = (q.name for q in machine.queues if q.name in site.queues and not q.is_open)
    return [f"queues.{name}: the machine takes no jobs for it now" for name in closed]


def differences(site: Site, machine: Machine) -> list[str]:
    """What the machine says otherwise than the site's file."""
    if not site.queues:
        return []
    live = {queue.name: queue for queue in machine.queues}
    gone = [name for name in site.queues if name != "*" and name not in live]
    found = [f"queues.{name}: the machine has none; it has {', '.join(live)}" for name in gone]
    for name, queue in live.items():
        if name in site.queues:
            found += [f"queues.{name}: {text}" for text in _queue_differences(site, queue)]
        elif queue.is_open and "*" not in site.queues:
            found.append(f"queues: {name} is missing, which the machine has")
    return found


def _queue_differences(site: Site, queue: LiveQueue) -> Iterable[str]:
    limits, here = site.queues[queue.name], site.for_queue(queue.name)
    if limits and queue.walltime is not None:
        said = max(limit.walltime for limit in limits)
        if said != queue.walltime:
            yield _differs("walltime", format_walltime(said), format_walltime(queue.walltime))
    most = queue.nodes[1] or queue.num_nodes
    if limits and most is not None:
        nodes = max(limit.nodes[1] for limit in limits)
        # without a limit of its own a queue is as large as its nodes are many: more is wrong
        if nodes > most or (queue.nodes[1] is not None and nodes < most):
            yield _differs("nodes", nodes, most)
    for key, ours, theirs in (
        ("cpus_per_node", here.cpus_per_node, queue.cpus),
        ("gpus_per_node", here.num_gpus, queue.gpus),
    ):
        if ours is not None and theirs is not None and ours != theirs:
            yield _differs(key, ours, theirs)


def _differs(key: str, ours: object, theirs: object) -> str:
    return f"{key}: the file says {ours}, the machine {theirs}"
