"""Render a sweep: check every point, choose how they are handed in, write all or nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from hpctrain.config.check import check
from hpctrain.config.job import Job
from hpctrain.config.load import Resolved
from hpctrain.config.site import Site
from hpctrain.config.together import num_points
from hpctrain.config.walltime import format_walltime
from hpctrain.errors import ConfigError
from hpctrain.index import Index
from hpctrain.index.beside import named_files, take_digests
from hpctrain.render import Inputs
from hpctrain.sweep.existing import refuse_to_replace, restore, sweep_changes
from hpctrain.sweep.plan import Plan, choose
from hpctrain.sweep.points import (
    SHOWN,
    differing_resources,
    label,
    name_width,
    refuse_duplicates,
    resolve_points,
    sweep_of,
    try_points,
)
from hpctrain.sweep.script import sweep_scripts, whole_job
from hpctrain.sweep.write import FACTS, Data, DataOf, Rendered, facts, point_files, put_sweep

BuildIndex = Callable[[Job], Index]
"""Builds the index of a job."""
_KEPT = 8


@dataclass(frozen=True)
class Outcome:
    """What became of a sweep.

    Attributes:
        what: written, replaced, restored or unchanged.
        plan: how its points are handed in.
        num_points: how many there are.
        notes: what is good to know.
    """

    what: str
    plan: Plan
    num_points: int
    notes: tuple[str, ...]


def write_sweep(
    resolved: Resolved,
    inputs: Inputs,
    target: Path,
    build_index: BuildIndex,
    extra: Mapping[str, str] | None = None,
) -> Outcome:
    """Make `target` the folder of a job's sweep.

    Args:
        resolved: a job that has a sweep.
        inputs: with the sweep's own folder as run directory.
        target: that folder, as it is shown.
        build_index: called once for each data block that differs.
        extra: more files of the sweep, by name.

    Raises:
        ConfigError: a point is wrong, or what was asked for cannot be done.
        RenderError: the sweep began, was edited by hand, or cannot be written.
    """
    job, site, sweep = resolved.job, resolved.site, sweep_of(resolved)
    refuse_duplicates(resolved)
    count = num_points(sweep)
    plan = choose(job, site, count, differing_resources(sweep))
    notes = (*_checked(resolved, plan), *_queue_notes(job, site, plan, count))
    scripts = sweep_scripts(job, site, inputs, plan, count, name_width(count))
    own = {**scripts, **(extra or {})}
    texts = {**own, FACTS: facts(job, site.name, plan, count, own)}
    data_of = _known_data(build_index)
    shared = replace(inputs, is_slot=plan.how == "ensemble" and site.scheduler != "local")

    def rendered() -> Iterator[Rendered]:
        return point_files(resolve_points(resolved), shared, data_of)

    if not target.exists():
        put_sweep(target, texts, rendered(), sweep.keys)
        return Outcome("written", plan, count, notes)
    changed = list(islice(sweep_changes(target, texts, rendered()), SHOWN + 1))
    if not changed:
        is_restored = restore(target, texts, rendered())
        return Outcome("restored" if is_restored else "unchanged", plan, count, notes)
    refuse_to_replace(target, changed)
    put_sweep(target, texts, rendered(), sweep.keys)
    return Outcome("replaced", plan, count, notes)


def _checked(resolved: Resolved, plan: Plan) -> list[str]:
    """Check all points against the schema and the site.

    Raises:
        ConfigError: the first points that are wrong, and how many more there are.
    """
    notes: dict[str, None] = {}
    faults: list[str] = []
    bad = 0
    for point in try_points(resolved):
        try:
            if isinstance(point, ConfigError):
                raise point
            notes.update(dict.fromkeys(check(whole_job(point.job, plan), point.site)))
        except ConfigError as e:
            bad += 1
            text = str(e)
            if not isinstance(point, ConfigError):
                text = f"{label(resolved, point.name, point.values)}: {text}"
            faults += [text] if bad <= SHOWN else []
    if bad:
        more = [f"and {bad - SHOWN} more points are wrong"] if bad > SHOWN else []
        raise ConfigError("\n".join(dict.fromkeys([*faults, *more])))
    return list(notes)


def _queue_notes(job: Job, site: Site, plan: Plan, count: int) -> Iterator[str]:
    """What the user should know of how the points are handed in."""
    rules, queue = site.rules_of(job.resources.queue), job.resources.queue
    if plan.how != "ensemble" and rules.max_queued is not None and count > rules.max_queued:
        yield (
            f"sweep: queue {queue} holds {rules.max_queued} jobs of a user at a time, and there "
            f"are {count} points"
        )
    rounds = -(-count // plan.slots) if plan.slots else 1
    if plan.how == "ensemble" and rounds > 1 and site.scheduler != "local":
        yield (
            f"sweep: {count} points in {plan.slots} slots share a walltime of "
            f"{format_walltime(job.resources.walltime)}; what is not finished then goes on when "
            "the job is handed in again"
        )


def _known_data(build: BuildIndex) -> DataOf:
    """Build the index of a data block once, and keep those used last."""
    kept: OrderedDict[str, Data] = OrderedDict()

    def data_of(job: Job) -> Data:
        factor = getattr(job.train, "upscale_factor", 1)
        key = f"{factor} {named_files(job)} {job.data.model_dump_json()}"
        if key not in kept:
            index = build(job)
            kept[key] = Data(index.csv_text, index.json_text, take_digests(job, index.home))
        kept.move_to_end(key)
        if len(kept) > _KEPT:
            kept.popitem(last=False)
        return kept[key]

    return data_of
