"""`hpctrain submit`: render, check, hand in, and remember the job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpctrain import run_state
from hpctrain.cli.job import Overrides, SiteName
from hpctrain.cli.render import JOBS, render_run
from hpctrain.cli.submit_sweep import is_sweep, submit_sweep
from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.schedulers.submission import Submission


def command(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="JOB...", help="Job files, or run directories as they are."),
    ],
    overrides: Overrides = None,
    site: SiteName = None,
    as_name: Annotated[
        str | None, typer.Option("--as", help="Name of the run, where it is not the job's.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all run directories.")] = JOBS,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not look for what would fail later.")
    ] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Keep it from starting until hpctrain release.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
) -> None:
    """Render a job, check it and hand it to the scheduler; a run directory is handed in as it is.

    A job that waits for others (after: in its file) may stand behind them on the same line.
    """
    from hpctrain.schedulers.submission import submit

    if as_name is not None and len(targets) > 1:
        raise ConfigError("--as: names one run, and several jobs are given; submit them one by one")
    found: list[Submission] = []
    try:
        for target in targets:
            run_dir = _run_dir(target, overrides or [], site, as_name, out)
            if not no_check:
                _check(run_dir)
            parts = submit_sweep(run_dir, hold) if is_sweep(run_dir) else [submit(run_dir, hold)]
            for one in parts:
                found.append(one)
                if not as_json:
                    typer.echo(sentence(one))
    finally:
        if as_json:
            typer.echo(json.dumps([as_dict(one) for one in found], indent=1))


def _run_dir(
    target: str, overrides: list[str], site: str | None, as_name: str | None, out: Path
) -> Path:
    """The run directory to hand in: one that is there, or that of a job file, rendered now."""
    run_dir = existing_run(target, out)
    if run_dir is None:
        return render_run(
            target, overrides, site, as_name, out, say=lambda line: typer.echo(line, err=True)
        )
    if overrides or site or as_name:
        raise ConfigError(
            f"{target}: a run directory is handed in as it is; --set, --site and --as need a job "
            "file"
        )
    return run_dir


def existing_run(target: str, out: Path = JOBS) -> Path | None:
    """The run directory that is meant, or None where it must be a job file."""
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        return None
    places = (path, out / path)
    return next((p for p in places if run_state.is_run(p) or is_sweep(p)), None)


def sentence(one: Submission) -> str:
    """What was handed in, in a line."""
    first, *others = one.job_ids
    text = f"{one.run_dir}: handed in as job {first}"
    if others:
        text = f"{one.run_dir}: handed in as {len(one.job_ids)} jobs, {first} to {others[-1]}"
    if one.waits:
        waits = (f"{wait.run_dir.name} (job {wait.job_id}, {wait.condition})" for wait in one.waits)
        text += f", behind {', '.join(waits)}"
    return f"{text}, held until: hpctrain release {one.run_dir}" if one.is_held else text


def as_dict(one: Submission) -> dict[str, Any]:
    """What was handed in, for programs."""
    return {
        "run": one.run_dir.name,
        "path": str(one.run_dir.resolve()),
        "job_id": one.job_ids[0],
        "job_ids": list(one.job_ids),
        "command": list(one.command),
        "after": {wait.run_dir.name: [wait.job_id, wait.condition] for wait in one.waits},
        "held": one.is_held,
    }


def _check(run_dir: Path) -> None:
    """Stop at what would fail later, and show what might.

    Raises:
        ConfigError: the check found errors.
    """
    from hpctrain.cli.check_sweep import check_sweep_dir
    from hpctrain.config.load import read_resolved, read_site
    from hpctrain.preflight import preflight

    if is_sweep(run_dir):
        found = check_sweep_dir(run_dir, False)
    else:
        job = read_resolved(run_dir / "config.yaml")
        site, _ = read_site(str(run_dir / "site.yaml"))
        found = preflight(job, site, run_dir)
    errors = [str(finding) for finding in found if finding.severity == "error"]
    for finding in found:
        if finding.severity != "error":
            typer.echo(str(finding), err=True)
    if errors:
        ways = "nothing was handed in; mend it, or hand it in all the same with --no-check"
        raise ConfigError("\n".join([*errors, f"{run_dir}: {ways}"]))
