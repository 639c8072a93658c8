"""What `render`, `submit` and `scale` share: a job with a sweep becomes a folder of runs."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hpctrain.config.load import Resolved
    from hpctrain.config.site import Site
    from hpctrain.sweep import Outcome


def render_sweep(
    resolved: Resolved,
    out: Path,
    say: Callable[[str], None] = typer.echo,
    extra: Mapping[str, str] | None = None,
) -> Path:
    """Write the folder of a job's sweep; returns where it is.

    Args:
        resolved: a job that has a sweep.
        out: folder of all run directories.
        say: takes the line about what was done; notes go to standard error.
        extra: more files of the sweep, by name.
    """
    from hpctrain.cli.job_index import job_index
    from hpctrain.render.code import collect
    from hpctrain.render.container import build_files
    from hpctrain.render.draft import draft_inputs, macros_place
    from hpctrain.sweep import write_sweep

    target, cwd, job = out / resolved.job.name, Path.cwd(), resolved.job
    python = os.path.abspath(sys.executable)
    inputs = replace(
        draft_inputs(job, target, cwd, python, macros_place(resolved.layers)),
        python=python,  # of a point that names its own, that is taken
        code=collect(job.code, cwd),
        container_files=build_files(),
    )
    outcome = write_sweep(
        resolved,
        inputs,
        target,
        lambda point: job_index(point, cwd),
        extra,
    )
    for note in outcome.notes:
        typer.echo(f"note: {note}", err=True)
    say(f"{target}: {_summary(outcome, resolved.site)}")
    return target


def start_line(sweep_dir: Path) -> str:
    """Command that hands in a whole sweep, or starts it."""
    from hpctrain.schedulers import scheduler_of
    from hpctrain.sweep import submissions

    todo = submissions(sweep_dir)
    scheduler = scheduler_of(sweep_dir / "points" / todo[0].points[0])
    if len(todo) > 1 or scheduler is None:
        return shlex.join(["hpctrain", "submit", str(sweep_dir)])
    return shlex.join(scheduler.submit_command(str(todo[0].script)))


def _summary(outcome: Outcome, site: Site) -> str:
    if outcome.what == "unchanged":
        return "nothing changed"
    if outcome.what == "restored":
        return "nothing changed; what was missing is written again"
    plan, count = outcome.plan, outcome.num_points
    at_a_time = f", {plan.max_running} at a time" if plan.max_running else ""
    how = {
        "array": f"one job array{at_a_time}",
        "throttled": f"single jobs{at_a_time}",
        "ensemble": f"one job, {plan.slots} side by side",
    }[plan.how]
    if site.scheduler == "local":
        how = "one script, one after another"
    if len(plan.parts) > 1:
        how = f"{len(plan.parts)} job arrays behind each other{at_a_time}"
    return f"{outcome.what} for site {site.name}: {count} points as {how} ({plan.why})"
