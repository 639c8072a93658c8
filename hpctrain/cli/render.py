"""`hpctrain render`: a job file becomes a run directory."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain import __version__
from hpctrain.cli.job import JobName, Overrides, SiteName, load

if TYPE_CHECKING:
    from hpctrain.config.job import Job
    from hpctrain.index import Index
    from hpctrain.render import CodeTree, Inputs


def command(
    job: JobName,
    overrides: Overrides = None,
    site: SiteName = None,
    as_name: Annotated[
        str | None, typer.Option("--as", help="Name of the run, where it is not the job's.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all run directories.")] = Path(
        "jobs"
    ),
) -> None:
    """Write the run directory of a job, and say how to start it."""
    from hpctrain.config.check import check
    from hpctrain.index import build_fields_index
    from hpctrain.render import render, write_run
    from hpctrain.render.code import collect
    from hpctrain.render.script import SCRIPTS
    from hpctrain.schedulers import find_scheduler

    words = [*(overrides or []), *([f"name={json.dumps(as_name)}"] if as_name is not None else [])]
    resolved = load(job, words, site)
    for note in check(resolved.job, resolved.site):
        typer.echo(f"note: {note}", err=True)
    cwd = Path.cwd()
    code = collect(resolved.job.code, cwd)
    index = build_fields_index(
        resolved.job.data,
        resolved.job.train.upscale_factor,
        cwd,
        lambda line: typer.echo(line, err=True),
    )
    target = out / resolved.job.name
    files = render(resolved.job, resolved.site, _inputs(resolved.job, target, cwd, code, index))
    outcome = write_run(files, target)
    script = str(target / SCRIPTS[resolved.site.scheduler])
    if note := _image_note(resolved.job, target, cwd):
        typer.echo(note, err=True)
    typer.echo(f"{target}: {_summary(outcome, resolved.job, resolved.site.name, len(index.rows))}")
    start = find_scheduler(resolved.site.scheduler).submit_command(script)
    typer.echo(f"next: {shlex.join(start)}")


def _inputs(job: Job, target: Path, cwd: Path, code: CodeTree, index: Index) -> Inputs:
    from hpctrain.render import Inputs
    from hpctrain.render.container import build_files

    return Inputs(
        # realpath of the parent: compute nodes may not follow the login node's links
        run_dir=str(target.parent.resolve() / target.name),
        cwd=str(cwd),
        python=os.path.abspath(sys.executable),
        version=__version__,
        code=code,
        index_csv=index.csv_text,
        index_json=index.json_text,
        container_files=build_files(),
    )


def _image_note(job: Job, target: Path, cwd: Path) -> str:
    """How to build the job's image, if it is a file that is not there; else nothing."""
    from hpctrain.render.texts import with_absolute_paths

    container = with_absolute_paths(job, cwd).container
    if container is None or "://" in container.image or os.path.exists(container.image):
        return ""
    build = shlex.join([container.engine, "build", container.image, "container.def"])
    return (
        f"note: container.image: {container.image}: no such file yet; build it before the job "
        f"starts: cd {shlex.quote(str(target))} && {build}"
    )


def _summary(outcome: str, job: Job, site: str, rows: int) -> str:
    if outcome == "unchanged":
        return "nothing changed"
    if outcome == "restored":
        return "nothing changed; what was missing is written again"
    ask = job.resources
    return (
        f"{outcome} for site {site}: {ask.nodes} x {ask.ranks_per_node} ranks, "
        f"{job.batch_size_per_rank} samples a rank and step, {rows} rows in the index"
    )
