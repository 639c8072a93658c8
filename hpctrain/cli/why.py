"""`hpctrain why`: the cause in plain words, and what to do."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.run_dir import find_run


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say why a run waits, has stopped or has failed, and what to do about it."""
    from hpctrain.schedulers.diagnosis import diagnose
    from hpctrain.schedulers.overview import find_run_jobs

    run_dir = find_run(run)
    jobs, notes = find_run_jobs([run_dir])
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    found = diagnose(run_dir, jobs.get(run_dir))
    if as_json:
        typer.echo(json.dumps({"run": str(run_dir), **asdict(found)}, indent=1))
        return
    typer.echo(f"{run_dir}: {found.what}")
    for words in found.because:
        typer.echo(f"  because  {words}")
    if found.cause:
        typer.echo(f"  that is  {found.cause}")
    typer.echo(f"  do       {found.fix}")
