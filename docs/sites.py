"""The page of all shipped sites: a table, then a block each with queues, rules and sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from schema_tables import anchor, row, table

from hpctrain.config.load import read_site
from hpctrain.config.site import Limits, Rules, Site
from hpctrain.config.walltime import format_walltime

SITES = Path(__file__).resolve().parent.parent / "templates" / "sites"


def sites_page() -> list[str]:
    """Lines of the page, without its title."""
    sites = [read_site(str(path))[0] for path in sorted(SITES.glob("*.yaml"))]
    lines = [
        "What hpctrain knows of machines, from `templates/sites/`. Limits change: on a login node",
        "`hpctrain site check NAME` compares them with the scheduler. What no page told is left",
        "out. [Add a site](../how-to/add-a-site.md) says how to override any of it, the [site",
        "file](site.md) what each key means. Numbers of jobs are those of a user or, on some",
        "machines, of a project.",
        "",
        *table("site", "machine", "scheduler", "launcher", "cpus", "gpus", "facts of"),
        *(_summary(site) for site in sites),
        "",
    ]
    return [*lines, *(line for site in sites for line in _block(site))]


def _summary(site: Site) -> str:
    dates = sorted(source.date for source in site.sources)
    span = f"{dates[0]} to {dates[-1]}" if dates[0] != dates[-1] else dates[0]
    return row(
        f"[{site.name}](#{anchor(site.name)})",
        site.title,
        site.scheduler,
        site.launcher.kind,
        _count(site.cpus_per_node),
        "0" if site.mask_variable is None else _count(site.num_gpus),
        span,
    )


def _count(number: int | None) -> str:
    return "" if number is None else str(number)


def _block(site: Site) -> list[str]:
    facts = [f"- {text}" for text in _facts(site)]
    queues = [row(f"`{name}`", *_queue(site, name)) for name in site.queues]
    head = ["", *table("queue", "nodes: walltime", "rules")] if queues else []
    sources = [f"- {s.fact}: {s.source} ({s.date})" for s in site.sources]
    return [
        *(f"## {site.name}", "", f"{site.title}. {_hosts(site)}".rstrip(), ""),
        *(*facts, *head, *queues, "", "Sources:", "", *sources, ""),
    ]


def _hosts(site: Site) -> str:
    names = ", ".join(f"`{glob}`" for glob in site.hostnames)
    return f"Known by host names such as {names}." if names else ""


def _facts(site: Site) -> Iterator[str]:
    launcher, lines = site.launcher, site.directives
    words = [launcher.command or launcher.kind, *launcher.args]
    words += [f"bound to {launcher.cpu_bind}"] if launcher.cpu_bind else []
    yield f"launcher: {' '.join(words)}"
    if site.mask_variable:
        order = f", in the order {' '.join(map(str, site.gpu_order))}" if site.gpu_order else ""
        yield f"GPUs are shown to a rank by `{site.mask_variable}`{order}"
    for title, values in (
        ("must be named in the job", lines.required),
        ("more directives", lines.extra),
        ("parts of every chunk", lines.select),
        ("refused directives", lines.forbidden),
        ("file systems", site.filesystems),
        ("modules", site.modules),
    ):
        if values:
            yield f"{title}: {', '.join(f'`{value}`' for value in values)}"
    if site.priorities:
        classes = (f"{name} x {factor:g}" for name, factor in site.priorities.items())
        yield f"priorities: {', '.join(classes)}"
    if site.charge:
        least = f", at least {site.charge.min_nodes} nodes" if site.charge.min_nodes > 1 else ""
        yield f"charge: {site.charge.per_node_hour:g} {site.charge.unit} a node and hour{least}"
    own = site.container
    swap = ", whose place the host's takes" if own.abi == "bind" else ""
    yield f"images by {own.engine}, with MPI of the family {own.mpi}{swap}; `{own.gpu_flag}`"


def _queue(site: Site, name: str) -> tuple[str, str]:
    limits = "; ".join(_limit(limit) for limit in site.queues[name]) or "not known"
    return limits, "; ".join(_rules(site.rules_of(name)))


def _limit(limit: Limits) -> str:
    low, high = limit.nodes
    least = f" (at least {format_walltime(limit.min_walltime)})" if limit.min_walltime else ""
    nodes = str(low) if low == high else f"{low} to {high}"
    return f"{nodes}: {format_walltime(limit.walltime)}{least}"


def _rules(rules: Rules) -> Iterator[str]:
    if rules.option:
        yield f"asked for by `{rules.option}`"
    if not rules.is_chaining_allowed:
        yield "no chains"
    if rules.is_preemptable:
        yield "preemptable"
    for value, text in (
        (rules.max_array, "{} elements an array"),
        (rules.max_queued, "{} queued"),
        (rules.max_running, "{} running"),
        (rules.cpus_per_node, "{} cpus a node"),
        (rules.gpus_per_node, "{} gpus a node"),
    ):
        if value is not None:
            yield text.format(value)
    if rules.charge_factor != 1:
        yield f"charge x {rules.charge_factor:g}"
