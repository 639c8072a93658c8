"""Several jobs, and several parts of one, that must fit together: chains, sweeps, launchers."""

from __future__ import annotations

from math import prod

from hpctrain.config.exchange import exchange_findings
from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.config.sweep import Sweep

_BELONGS = {
    "srun": ("slurm", "local"),
    "ibrun": ("slurm",),
    "aprun": ("cobalt", "pbs", "local"),
    "jsrun": ("local",),
}
"""Launchers that only work under some schedulers."""


def together_findings(job: Job, site: Site) -> list[Finding]:
    """What does not fit together."""
    return [
        finding
        for part in (_chain, _after, _sweep, _launcher, exchange_findings)
        for finding in part(job, site)
    ]


def num_points(sweep: Sweep) -> int:
    """How many runs a sweep makes, at most."""
    drawn = sweep.random.num_points if sweep.random else 1
    return prod(len(values) for values in sweep.grid.values()) * (len(sweep.points) or 1) * drawn


def _chain(job: Job, site: Site) -> list[Finding]:
    chain, rules, queue = job.chain, site.rules_of(job.resources.queue), job.resources.queue
    if chain is None:
        return []
    found = []
    if not rules.is_chaining_allowed:
        text = f"queue {queue} lets no job hand itself in again; leave chain out, or choose another"
        found.append(error("chain", f"{text} queue"))
    if chain.how == "requeue" and site.scheduler != "slurm":
        text = f"found 'requeue', which only Slurm can, and this is {site.scheduler}; choose auto"
        found.append(error("chain.how", text))
    if chain.how == "presubmit" and site.scheduler == "local":
        found.append(error("chain.how", "found 'presubmit'; there is no queue here; choose auto"))
    most = rules.max_queued
    if chain.how == "presubmit" and most is not None and chain.max_jobs > most:
        text = f"found {chain.max_jobs}, all queued at once; queue {queue} takes {most} of a user"
        found.append(error("chain.max_jobs", f"{text}; lower it, or choose how: resubmit"))
    return [*found, *_hidden_number(job, site)]


def _hidden_number(job: Job, site: Site) -> list[Finding]:
    """The next job gets its number as a variable, which directives may take away or hide."""
    is_presubmit = job.chain is not None and job.chain.how == "presubmit"
    for line in [*site.directives.extra, *job.resources.directives]:
        text = ""
        if site.scheduler == "pbs" and line.startswith("-v"):
            text = "and a chained job gets its number by -v; use launch.env"
        elif site.scheduler == "slurm" and is_presubmit and line.startswith("--export=NONE"):
            text = "which takes away the number in the chain; choose chain.how: resubmit"
        if text:
            return [error("resources.directives", f"found {line!r}, {text}")]
    return []


def _after(job: Job, site: Site) -> list[Finding]:
    found = []
    if job.name in job.after:
        found.append(error(f"after.{job.name}", "a run cannot wait for itself; leave it out"))
    for name, condition in job.after.items():
        if site.scheduler == "cobalt" and condition != "ok":
            text = f"found {condition!r}; Cobalt can only wait for a good end; allowed: ok"
            found.append(error(f"after.{name}", text))
    return found


def _sweep(job: Job, site: Site) -> list[Finding]:
    sweep = job.sweep
    if sweep is None:
        return []
    points, queue = num_points(sweep), job.resources.queue
    most, is_array = site.rules_of(queue).max_array, sweep.how == "array"
    if is_array and site.scheduler in ("cobalt", "local"):
        text = f"found 'array', and {site.scheduler} has none; choose ensemble, throttled or auto"
        return [error("sweep.how", text)]
    if is_array and most == 0:
        text = f"found 'array', and queue {queue} takes none; choose ensemble, throttled or auto"
        return [error("sweep.how", text)]
    if most and points > most and sweep.how in ("array", "auto"):
        parts = -(-points // most)
        text = f"{points} points; an array in queue {queue} has {most} at most, so {parts} are made"
        return [note("sweep", text)]
    return []


def _launcher(job: Job, site: Site) -> list[Finding]:
    kind, found = job.launch.launcher, []
    started_by = site.launcher.kind if kind in ("site", "torchrun") else kind
    if started_by in _BELONGS and site.scheduler not in _BELONGS[started_by]:
        fitting = " or ".join(_BELONGS[started_by])
        text = f"{started_by} starts ranks only under {fitting}, and this is {site.scheduler}"
        found.append(error("launch.launcher", f"{text}; choose site"))
    if kind == "torchrun" and job.launch.comm in ("horovod", "mpi"):
        name = {"horovod": "Horovod's", "mpi": "MPI's"}[job.launch.comm]
        text = f"{name} ranks are started by MPI, not by torchrun; choose comm: ddp or auto"
        found.append(error("launch.comm", text))
    if kind == "none" and job.total_ranks > 1:
        text = f"found 'none' for {job.total_ranks} ranks; nothing would start them; choose site"
        found.append(error("launch.launcher", text))
    needs_mpi = job.launch.comm in ("horovod", "mpi") and job.total_ranks == 1
    if needs_mpi and started_by == "none" and kind == "none":
        text = f"{job.launch.comm} with one rank and no launcher does nothing that single does not"
        found.append(warning("launch.comm", text))
    return found
