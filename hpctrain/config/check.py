"""Does a job fit a site: rules that no schema of one of them can hold."""

from __future__ import annotations

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.config.limits import queue_findings
from hpctrain.config.own_directives import directive_findings
from hpctrain.config.site import Site
from hpctrain.config.together import together_findings
from hpctrain.config.walltime import format_walltime
from hpctrain.config.words import nearest
from hpctrain.errors import ConfigError


def check(job: Job, site: Site) -> list[str]:
    """Refuse a job that does not fit its site.

    Returns:
        What is good to know, such as values that have no effect on this site.

    Raises:
        ConfigError: everything that does not fit, one line each.
    """
    found = findings(job, site)
    faults = [f for f in found if f.severity == "error"]
    if faults:
        lead = f"job {job.name} on site {site.name}"
        raise ConfigError("\n".join(f"{lead}: {f.where}: {f.text}" for f in faults))
    return [f"{f.where}: {f.text}" for f in found]


def findings(job: Job, site: Site) -> list[Finding]:
    """Compare what a job asks for with what a site has.

    Args:
        job: the job.
        site: the site as jobs of the job's queue see it (`Site.for_queue`).
    """
    parts = (
        *(_node, _size, _required, queue_findings, _shortest, _priority, _memory),
        *(directive_findings, together_findings, _gpus, _warning_time, _no_effect, _scratch),
    )
    return [finding for part in parts for finding in part(job, site)]


def _node(job: Job, site: Site) -> list[Finding]:
    ask, found = job.resources, []
    for what, each, have in (
        ("cpus", ask.cpus_per_rank, site.cpus_per_node),
        ("gpus", ask.gpus_per_rank, site.num_gpus),
    ):
        total = ask.ranks_per_node * each
        is_shared = what == "cpus" and site.launcher.oversubscribe
        if have is None or total <= have or is_shared:
            continue
        fitting = have // each
        found.append(
            error(
                "resources",
                f"ranks_per_node {ask.ranks_per_node} x {what}_per_rank {each} = {total}, and a "
                f"node has {have} {what}"
                + (f"; ranks_per_node: {fitting} fits" if fitting else ""),
            )
        )
    if ask.gpus_per_rank and site.mask_variable is None:
        text = f"found {ask.gpus_per_rank}; this machine has no GPUs"
        found.append(error("resources.gpus_per_rank", text))
    return found


def _size(job: Job, site: Site) -> list[Finding]:
    if site.max_nodes is not None and job.resources.nodes > site.max_nodes:
        text = f"found {job.resources.nodes}; allowed: {site.max_nodes} or fewer"
        return [error("resources.nodes", text)]
    if site.launcher.kind == "none" and job.total_ranks > 1 and job.launch.launcher == "site":
        text = f"{job.total_ranks} ranks, and this site has no launcher; allowed: one rank"
        return [error("resources", text)]
    return []


def _required(job: Job, site: Site) -> list[Finding]:
    found = [
        error(
            f"resources.{name}",
            f"is missing, and this scheduler refuses jobs without it; add {name}: to resources",
        )
        for name in site.directives.required
        if not getattr(job.resources, name)
    ]
    unknown = [
        f for f in job.resources.filesystems if site.filesystems and f not in site.filesystems
    ]
    if unknown:
        known, hint = ", ".join(site.filesystems), nearest(unknown[0], site.filesystems)
        text = f"unknown {', '.join(unknown)}; choose from {known}{hint}"
        found.append(error("resources.filesystems", text))
    return found


def _shortest(job: Job, site: Site) -> list[Finding]:
    asked, least = job.resources.walltime, site.min_walltime or 0
    if asked >= least:
        return []
    text = f"found {format_walltime(asked)}; allowed: {format_walltime(least)} or more"
    return [error("resources.walltime", text)]


def _priority(job: Job, site: Site) -> list[Finding]:
    asked = job.resources.priority
    if asked is None:
        return []
    if site.directives.priority is None:
        text = f"found {asked!r}; site {site.name} has no priority classes; leave it out"
        return [error("resources.priority", text)]
    if site.priorities and asked not in site.priorities:
        known = ", ".join(site.priorities)
        hint = nearest(asked, site.priorities)
        text = f"unknown priority {asked!r}; choose from {known}{hint}"
        return [error("resources.priority", text)]
    return []


def _memory(job: Job, site: Site) -> list[Finding]:
    can_ask = site.scheduler == "pbs" or (site.scheduler == "slurm" and site.directives.memory)
    if job.resources.memory_gb_per_node is None or can_ask:
        return []
    return [note("resources.memory_gb_per_node", f"has no effect on site {site.name}")]


def _gpus(job: Job, site: Site) -> list[Finding]:
    if job.resources.gpus_per_rank and site.mask_variable == "ZE_AFFINITY_MASK":
        text = "the trainer knows no Intel GPUs (ZE_AFFINITY_MASK) and will use the CPUs"
        return [note("resources.gpus_per_rank", text)]
    return []


def _warning_time(job: Job, site: Site) -> list[Finding]:
    asked, most = job.launch.warning_s, job.resources.walltime // 4
    if asked is None or asked <= most:
        return []
    text = f"found {asked}; a quarter of the walltime, {most}, is taken instead"
    return [warning("launch.warning_s", text)]


def _scratch(job: Job, site: Site) -> list[Finding]:
    if job.data.stage == "none" or job.data.stage_dir or site.scratch:
        return []
    text = (
        f"site {site.name} names no disk of the nodes (scratch); give data.stage_dir, a folder on "
        "each node's own disk, such as $TMPDIR"
    )
    return [error("data.stage", text)]


def _no_effect(job: Job, site: Site) -> list[Finding]:
    ask, none = job.resources, []
    if site.scheduler == "local":
        none += [name for name in ("queue", "account", "directives") if getattr(ask, name)]
    if ask.filesystems and site.directives.filesystems is None:
        none.append("filesystems")
    return [note(f"resources.{name}", f"has no effect on site {site.name}") for name in none]
