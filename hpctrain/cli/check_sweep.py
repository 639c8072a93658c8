"""`hpctrain check` of a sweep: one point in full, all of them against the site."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.config.finding import Finding
    from hpctrain.config.job import Job
    from hpctrain.config.load import Resolved
    from hpctrain.config.site import Site
    from hpctrain.sweep.points import Point

_SHOWN = 20


def check_sweep(resolved: Resolved, out: Path, is_offline: bool) -> list[Finding]:
    """Check a job that has a sweep; nothing is written.

    Args:
        resolved: the job.
        out: folder of all run directories.
        is_offline: ask no scheduler.
    """
    from hpctrain.preflight import preflight
    from hpctrain.render.draft import macros_place
    from hpctrain.sweep.points import refuse_duplicates, try_points

    try:
        refuse_duplicates(resolved)
    except ConfigError as e:
        return [_sweep_error(str(e))]
    found: list[Finding] = []
    first: Point | None = None
    for point in try_points(resolved):
        if isinstance(point, ConfigError):
            found += [_sweep_error(line) for line in str(point).splitlines()]
        elif first is None:
            first = point
            target = out / resolved.job.name / "points" / point.name
            found += preflight(
                *(point.job, point.site, target),
                is_rendered=False,
                is_offline=True,  # the scheduler gets the script of the whole sweep
                macros_place=macros_place(resolved.layers),
            )
            found += _scripts(resolved, point, out, is_offline)
        else:
            found += _point_errors(point, out / resolved.job.name / "points" / point.name)
    return _shortened(dict.fromkeys(found))


def check_sweep_dir(folder: Path, is_offline: bool) -> list[Finding]:
    """Check a sweep that is rendered: one point in full, edits and removals in all."""
    from hpctrain.config.load import read_resolved, read_site
    from hpctrain.preflight import preflight
    from hpctrain.preflight.script import difference_findings, edited_findings
    from hpctrain.preflight.verify import runs_in, verify_sweep

    own = verify_sweep(folder)
    if not (runs := runs_in(folder)):
        raise ConfigError(f"{folder}: all of its points are gone; render the job again")
    first, *others = runs
    job = read_resolved(first / "config.yaml")
    site, _ = read_site(str(first / "site.yaml"))
    kept = {
        path.name: path.read_text(encoding="utf-8", errors="replace")
        for suffix in ("pbs", "slurm", "cobalt")
        for path in sorted(folder.glob(f"run*.{suffix}"))
    }
    found = preflight(job, site, first, is_offline=is_offline or bool(kept))
    found += _script_texts(kept, job, site, is_offline)
    if not (first / "manifest.json").exists():
        found += edited_findings(first)
    found += difference_findings(folder.resolve(), own.differences)
    found += [finding for path in others for finding in edited_findings(path, has_code=False)]
    return _shortened(dict.fromkeys(found))


def _scripts(resolved: Resolved, first: Point, out: Path, is_offline: bool) -> list[Finding]:
    """Findings about what the sweep would hand in: an array, an ensemble, or its first point."""
    from hpctrain.config.finding import error
    from hpctrain.config.together import num_points
    from hpctrain.errors import HpctrainError
    from hpctrain.render.draft import draft_inputs
    from hpctrain.render.script import run_script
    from hpctrain.sweep.plan import choose
    from hpctrain.sweep.points import differing_resources, name_width, sweep_of
    from hpctrain.sweep.script import sweep_scripts

    job, site, sweep = resolved.job, resolved.site, sweep_of(resolved)
    count, python = num_points(sweep), os.path.abspath(sys.executable)
    inputs = draft_inputs(job, out / job.name, Path.cwd(), python)
    try:
        plan = choose(job, site, count, differing_resources(sweep))
        scripts = sweep_scripts(job, site, inputs, plan, count, name_width(count))
        if not scripts:
            job, site = first.job, first.site
            scripts = {f"point {first.name}": run_script(job, site, inputs)}
    except ConfigError as e:
        return [error("sweep.how", str(e))]
    except HpctrainError as e:
        return [error("sweep", str(e))]
    return _script_texts(scripts, job, site, is_offline)


def _script_texts(
    scripts: Mapping[str, str], job: Job, site: Site, is_offline: bool
) -> list[Finding]:
    """Lint findings of all scripts, and what the scheduler says of the first."""
    from hpctrain.preflight.preflight import scheduler_findings
    from hpctrain.preflight.script import script_findings

    found = [f for name, text in scripts.items() for f in script_findings(text, name, site)]
    if scripts and not is_offline:
        found += scheduler_findings(job, site, next(iter(scripts.values())))
    return found


def _sweep_error(line: str) -> Finding:
    """An error of the sweep; its line, which the message begins with, is not said twice."""
    from hpctrain.config.finding import error

    where, colon, text = line.partition(": sweep")
    return error(where, f"sweep{text}") if colon else error("sweep", line)


def _point_errors(point: Point, run_dir: Path) -> list[Finding]:
    """What keeps a point from its site, or from its data where these vary."""
    from hpctrain.config.check import findings
    from hpctrain.preflight.binds import bind_findings
    from hpctrain.preflight.paths import path_findings
    from hpctrain.render.texts import with_absolute_paths
    from hpctrain.sweep.points import shown

    found = [*findings(point.job, point.site)]
    if any(key.startswith("data.") for key in point.values):
        job, target = with_absolute_paths(point.job, Path.cwd()), Path.cwd() / run_dir
        found += [*path_findings(job, target), *bind_findings(job, point.site, target)]
    return [
        replace(found, text=f"{found.text} (sweep point {point.name}: {shown(point.values)})")
        for found in dict.fromkeys(found)
        if found.severity == "error"
    ]


def _shortened(found: Iterable[Finding]) -> list[Finding]:
    """Errors first, and no more than a screen of them: the points of a sweep often fail alike."""
    from hpctrain.config.finding import note

    order = ("error", "warning", "note")
    lines = sorted(found, key=lambda finding: order.index(finding.severity))
    if len(lines) <= _SHOWN:
        return lines
    text = f"{len(lines) - _SHOWN} more findings about its points are not shown"
    return [*lines[:_SHOWN], note("sweep", text)]
