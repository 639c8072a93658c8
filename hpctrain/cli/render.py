"""`hpctrain render`: a job file becomes a run directory."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain import __version__
from hpctrain.cli.job import JobName, Overrides, SiteName, load
from hpctrain.cli.run_dir import find_run
from hpctrain.cli.sweep import render_sweep, start_line
from hpctrain.errors import ConfigError, RenderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hpctrain.config.job import Job
    from hpctrain.config.load import Resolved
    from hpctrain.index import Index
    from hpctrain.render import CodeTree, File, Inputs
    from hpctrain.render.resume import Origin

JOBS = Path("jobs")
"""Folder of all run directories, unless another is named."""


def command(
    job: JobName,
    overrides: Overrides = None,
    site: SiteName = None,
    as_name: Annotated[
        str | None, typer.Option("--as", help="Name of the run, where it is not the job's.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all run directories.")] = JOBS,
    resume_from: Annotated[
        str | None,
        typer.Option("--resume-from", help="Begin with the newest checkpoint of this other run."),
    ] = None,
    is_diff: Annotated[
        bool,
        typer.Option("--diff", help="Write nothing; show what would change, code 1 if anything."),
    ] = False,
) -> None:
    """Write the run directory of a job, and say how to start it."""
    from hpctrain.schedulers import scheduler_of

    if is_diff:
        if resume_from is not None:
            raise ConfigError("--resume-from: copies a checkpoint, and --diff writes nothing")
        raise typer.Exit(show_diff(job, overrides or [], site, as_name, out))
    target = render_run(job, overrides or [], site, as_name, out, resume_from=resume_from)
    scheduler = scheduler_of(target)
    if scheduler is not None:
        start = scheduler.submit_command(str(target / scheduler.script))
        typer.echo(f"next: {shlex.join(start)}")
    elif (target / "sweep.json").is_file():
        typer.echo(f"next: {start_line(target)}")


def render_run(
    name: str,
    overrides: Sequence[str] = (),
    site: str | None = None,
    as_name: str | None = None,
    out: Path = JOBS,
    say: Callable[[str], None] = typer.echo,
    resume_from: str | None = None,
) -> Path:
    """Write the run directory of a job; returns where it is.

    Args:
        name: job file, or its name in jobs/.
        overrides: texts `key.path=value`.
        site: name of the machine; None: what the job says.
        as_name: name of the run; None: that of the job.
        out: folder of all run directories.
        say: takes the line about what was done; notes go to standard error.
        resume_from: the run whose newest checkpoint this one begins with.
    """
    from hpctrain.render import write_run
    from hpctrain.render.order import with_parts
    from hpctrain.render.resume import find_origin, take_checkpoint

    resolved = _resolve(name, overrides, site, as_name)
    origin = find_origin(find_run(resume_from)) if resume_from is not None else None
    if resolved.job.sweep is not None:
        if origin:
            raise ConfigError(f"--resume-from: {name} is a sweep; only a single run can go on")
        return render_sweep(resolved, out, say)
    resolved = replace(resolved, job=with_parts(resolved.job, origin.run if origin else None))
    target = out / resolved.job.name
    files, rows = _files(resolved, target)
    _refuse_queued(files, target)
    outcome = write_run(files, target)
    if origin:
        say(f"{target}: begins with {take_checkpoint(origin, target)} of {origin.run}")
        _warn_of_changes(origin, resolved.job, files["index.csv"].content.decode())
    if note := _image_note(resolved.job, target, Path.cwd()):
        typer.echo(note, err=True)
    say(f"{target}: {_summary(outcome, resolved.job, resolved.site.name, rows)}")
    return target


def _warn_of_changes(origin: Origin, job: Job, index_csv: str) -> None:
    from hpctrain.render.resume import differing

    changed = differing(origin, job, index_csv)
    if changed:
        typer.echo(
            f"warning: --resume-from: {'; '.join(changed)}: the trainer will refuse to go on with "
            f"a checkpoint of {origin.run}; take the change back, or add --allow-schedule-change "
            "to its command in the run script",
            err=True,
        )


def _refuse_queued(files: dict[str, File], target: Path) -> None:
    """Stop before files change under a job that waits in the queue and would find the new ones.

    Raises:
        RenderError: there is such a job.
    """
    from hpctrain.render.existing import changes, has_started

    if not (target / "submitted.log").is_file() or has_started(target):
        return  # what has started is refused by the writer
    if not changes(files, target):
        return
    from hpctrain.schedulers.control import first_live

    job = first_live(target)
    if job is not None:
        raise RenderError(
            f"{target}: job {job.job_id} is {job.state}, and would find other files than it was "
            f"handed in with; end it first (hpctrain cancel {target}), or render under another "
            "name (--as)"
        )


def show_diff(
    name: str, overrides: Sequence[str], site: str | None, as_name: str | None, out: Path
) -> int:
    """Print how the run directory would change; returns 1 if it would, as diff(1) does."""
    from hpctrain.render.diff import diff

    resolved = _resolve(name, overrides, site, as_name)
    target = out / resolved.job.name
    if resolved.job.sweep is not None:
        raise ConfigError(f"--diff: {name} is a sweep; only a single run can be compared")
    if not (target / "manifest.json").is_file():
        raise ConfigError(f"--diff: {target}: no run directory to compare with; render it first")
    is_different = False
    for line in diff(_files(resolved, target)[0], target):
        is_different = True
        typer.echo(line)
    return int(is_different)


def _resolve(
    name: str, overrides: Sequence[str], site: str | None, as_name: str | None
) -> Resolved:
    return load(name, overrides, site, as_name)


def _files(resolved: Resolved, target: Path) -> tuple[dict[str, File], int]:
    """All files of a run directory, and the number of rows in its index."""
    from hpctrain.cli.job_index import job_index
    from hpctrain.config.check import check
    from hpctrain.index.beside import take_digests
    from hpctrain.render import render
    from hpctrain.render.code import collect
    from hpctrain.render.draft import macros_place

    for note in check(resolved.job, resolved.site):
        typer.echo(f"note: {note}", err=True)
    cwd = Path.cwd()
    code = collect(resolved.job.code, cwd)
    index = job_index(resolved.job, cwd)
    inputs = replace(
        _inputs(target, cwd, code, index, macros_place(resolved.layers)),
        beside=take_digests(resolved.job, index.home, lambda line: typer.echo(line, err=True)),
    )
    files = render(resolved.job, resolved.site, inputs)
    for line in _template_warnings(resolved, files):
        typer.echo(line, err=True)
    return files, len(index.rows)


def _template_warnings(resolved: Resolved, files: dict[str, File]) -> Iterator[str]:
    """What the linter says of a script from a template of the user's own."""
    from hpctrain.preflight.script import script_findings
    from hpctrain.render.script import SCRIPTS

    if resolved.job.launch.template is not None:
        name = SCRIPTS[resolved.site.scheduler]
        for finding in script_findings(files[name].content.decode(), name, resolved.site):
            yield f"warning: {finding.where}: {finding.text}"


def _inputs(target: Path, cwd: Path, code: CodeTree, index: Index, macros_place: str) -> Inputs:
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
        macros_place=macros_place,
    )


def _image_note(job: Job, target: Path, cwd: Path) -> str:
    """How to build the job's image, if it is a file that is not there; else nothing."""
    from hpctrain.render.texts import with_absolute_paths

    container = with_absolute_paths(job, cwd).container
    if container is None or "://" in container.image or os.path.exists(container.image):
        return ""
    build = shlex.join(["hpctrain", "container", "build", str(target), "-o", container.image])
    return (
        f"note: container.image: {container.image}: no such file yet; build it before the job "
        f"starts: {build}"
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
