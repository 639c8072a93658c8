"""`hpctrain profile`: where the time of a run's steps goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.registry import PROFILE, resolve


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    steps: Annotated[int, typer.Option("--steps", min=1, max=1000, help="Steps to look at.")] = 20,
    ranks: Annotated[
        int, typer.Option("--ranks", min=1, max=64, help="Processes on this machine.")
    ] = 1,
) -> None:
    """Run some steps of a run here, in a copy, and say where their time goes.

    Writes traces and a table into RUN/profile; checkpoints and state of the run are not touched.
    """
    folder = resolve(PROFILE)(find_run(run), steps, ranks)
    typer.echo((folder / "summary.txt").read_text())
    typer.echo(f"traces: {folder}/rank-*.pt.trace.json (open in chrome://tracing or Perfetto)")
