"""What a job costs, by the factors of its site."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.config.together import num_points


@dataclass(frozen=True)
class Cost:
    """Most that a job can cost: it is charged for the time it ran, never for more than this.

    Attributes:
        nodes: asked for by one job.
        charged_nodes: charged for, as some sites have a minimum.
        hours: of one job, its whole walltime.
        jobs: of the chain, at most.
        runs: runs at a time or one after another: points of the sweep, or slots of its ensemble.
        unit: what is charged.
        factors: name and value of everything the node-hours are multiplied by.
        unknown: what the site's file does not say.
    """

    nodes: int
    charged_nodes: int
    hours: float
    jobs: int
    runs: int
    unit: str
    factors: dict[str, float]
    unknown: tuple[str, ...]
    sums: tuple[float, float] | None = None
    """Node-hours and charge of all points, where these ask for different things."""

    @property
    def node_hours(self) -> float:
        """Node-hours of one job, as asked for."""
        return self.nodes * self.hours

    @property
    def charge(self) -> float:
        """Charge of one job."""
        amount = self.charged_nodes * self.hours
        for factor in self.factors.values():
            amount *= factor
        return amount

    @property
    def total(self) -> float:
        """Charge of all jobs."""
        return self.sums[1] if self.sums else self.charge * self.jobs * self.runs

    @property
    def total_node_hours(self) -> float:
        """Node-hours of all jobs."""
        return self.sums[0] if self.sums else self.node_hours * self.jobs * self.runs

    def as_dict(self) -> dict[str, Any]:
        """All values, for programs."""
        return {
            **{name: value for name, value in asdict(self).items() if name != "sums"},
            "unknown": list(self.unknown),
            "node_hours": round(self.node_hours, 6),
            "charge": round(self.charge, 6),
            "total_node_hours": round(self.total_node_hours, 6),
            "total_charge": round(self.total, 6),
        }


def cost(job: Job, site: Site) -> Cost:
    """Node-hours and charge of a job, its chain and its sweep.

    Args:
        job: the job.
        site: the site as jobs of the job's queue see it.
    """
    ask, charge, rules = job.resources, site.charge, site.rules_of(job.resources.queue)
    factors, unknown = {}, []
    if charge is None:
        unknown.append("what the site charges; node-hours are counted as they are")
    elif charge.per_node_hour != 1:
        factors[f"{charge.unit} a node-hour"] = charge.per_node_hour
    if rules.charge_factor != 1:
        factors[f"queue {ask.queue}"] = rules.charge_factor
    if ask.priority:
        if ask.priority in site.priorities:
            factors[f"priority {ask.priority}"] = site.priorities[ask.priority]
        else:
            known = f"; known: {', '.join(site.priorities)}" if site.priorities else ""
            unknown.append(f"what priority {ask.priority} multiplies the charge by{known}")
    if charge and not site.whole_nodes:
        unknown.append(
            "what part of a node is charged where jobs share nodes; whole ones are counted"
        )
    return Cost(
        nodes=ask.nodes,
        charged_nodes=max(ask.nodes, charge.min_nodes) if charge else ask.nodes,
        hours=ask.walltime / 3600,
        jobs=job.chain.max_jobs if job.chain else 1,
        runs=_runs(job),
        unit=charge.unit if charge else "node-hours",
        factors=factors,
        unknown=tuple(unknown),
    )


def _runs(job: Job) -> int:
    if job.sweep is None:
        return 1
    points, most = num_points(job.sweep), job.sweep.max_running
    # the points of an ensemble share the walltime of one job, on so many times the nodes
    return min(points, most) if job.sweep.how == "ensemble" and most else points


def lines(found: Cost, job: Job, site: Site) -> list[str]:
    """The cost in words, with the formula."""
    unknown = [f"  not known: {what}" for what in found.unknown]
    if found.sums:
        amount = f"{found.runs} points of different size: {_number(found.total_node_hours)}"
        charge = f"  charge: {_number(found.total)} {found.unit}, each point by its own size"
        head = f"{job.name} on site {site.name}: {amount} node-hours at most"
        return [head, *([charge] if site.charge or found.factors else []), *unknown]
    hours = f"{_number(found.hours)} h"
    each = f"{_nodes(found.nodes)} x {hours} = {_number(found.node_hours)} node-hours at most"
    text = [f"{job.name} on site {site.name}: one job: {each}"]
    if found.charged_nodes != found.nodes:
        text.append(f"  charged for {found.charged_nodes} nodes, the least that this site charges")
    if site.charge or found.factors:
        factors = [_nodes(found.charged_nodes), hours]
        factors += [f"{value:g} ({name})" for name, value in found.factors.items()]
        text.append(f"  charge: {' x '.join(factors)} = {_number(found.charge)} {found.unit}")
    parts = []
    if found.jobs > 1:
        parts.append(f"{found.jobs} jobs of the chain")
    if found.runs > 1:
        what = "slots of the ensemble" if job.sweep and job.sweep.how == "ensemble" else "points"
        parts.append(f"{found.runs} {what}")
    if parts:
        product = f"{_number(found.charge)} x {' x '.join(parts)}"
        text.append(f"  in all, at most: {product} = {_number(found.total)} {found.unit}")
    return [*text, *unknown]


def _number(value: float) -> str:
    return f"{round(value, 3):.12g}"


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"
