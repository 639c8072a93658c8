"""What a sweep costs whose points ask for different things."""

from __future__ import annotations

from dataclasses import replace

from hpctrain.config.cost import Cost, cost
from hpctrain.config.load import Resolved
from hpctrain.sweep.points import refuse_duplicates, resolve_points, sweep_of

_PRICED = ("resources.", "chain.")


def sweep_cost(resolved: Resolved) -> Cost:
    """Cost of a job and all points of its sweep, if it has one.

    Raises:
        ConfigError: the sweep cannot be, or one of its points.
    """
    found = cost(resolved.job, resolved.site)
    if resolved.job.sweep is None:
        return found
    refuse_duplicates(resolved)
    sweep = sweep_of(resolved)
    keys = {*sweep.grid, *(key for point in sweep.points for key in point)}
    keys |= {*sweep.random.parameters} if sweep.random else set()
    if not any(key.startswith(_PRICED) for key in keys):
        return found
    points = [cost(point.job, point.site) for point in resolve_points(resolved)]
    sums = (sum(p.total_node_hours for p in points), sum(p.total for p in points))
    unknown = dict.fromkeys(text for point in points for text in point.unknown)
    return replace(found, runs=len(points), unknown=tuple(unknown), sums=sums)
