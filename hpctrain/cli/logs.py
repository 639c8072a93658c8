"""`hpctrain logs`: what the newest job of a run printed, and prints."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain import run_state
from hpctrain.cli.run_dir import find_run
from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.schedulers.logs import Follower

LOOK_EVERY_S = 0.5
ASK_EVERY_S = 15.0
"""How often the scheduler is asked whether there is more to come."""
ASK_ENDING_S = 2.0
"""The same for a run that has ended, but whose job or chain may not have."""


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")
    ] = False,
    number: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many lines of the end.")
    ] = 50,
) -> None:
    """Show the end of the newest log of a run; with -f what is added, over all jobs of a chain."""
    from hpctrain.schedulers.logs import Follower, last_lines, log_files

    run_dir = find_run(run)
    follower = Follower(run_dir)
    files = log_files(run_dir)
    if not files and not follow:
        raise ConfigError(
            f"{run_dir}/logs: no log yet; look at hpctrain status, or wait for one with -f"
        )
    shown = None
    for path in files:
        if len(files) > 1 or follow:
            typer.echo(_head(path))
        for line in last_lines(path, number):
            typer.echo(line)
        shown = path
    if follow:
        _follow(run_dir, follower, shown)


def _follow(run_dir: Path, follower: Follower, shown: Path | None) -> None:
    """Print what is added until the run has ended, or the user interrupts."""
    ask_at, verdict, is_over = 0.0, "", False
    try:
        while True:
            now = run_state.read(run_dir).verdict()
            if now != verdict or time.monotonic() >= ask_at:
                verdict = now
                is_open = verdict in (*run_state.ACTIVE, "silent", "rendered")
                ask_at = time.monotonic() + (ASK_EVERY_S if is_open else ASK_ENDING_S)
                is_over = has_ended(run_dir)
            time.sleep(LOOK_EVERY_S)  # the last words of a script come after its last state
            for path, text in follower.new():
                if path != shown:
                    typer.echo(_head(path))
                    shown = path
                typer.echo(text, nl=False)
            if is_over:
                return
    except KeyboardInterrupt:
        typer.echo()


def has_ended(run_dir: Path) -> bool:
    """Whether nothing more is to come: the run is not at work, and no job of it is queued."""
    from hpctrain.schedulers.overview import find_run_jobs

    verdict = run_state.read(run_dir).verdict()
    if verdict == "finished":
        return True
    job = find_run_jobs([run_dir])[0].get(run_dir)
    if job is not None and job.status is not None:
        return job.status.state == "ended" or (
            job.status.state == "unknown" and verdict not in (*run_state.ACTIVE, "rendered")
        )
    return verdict not in (*run_state.ACTIVE, "silent", "rendered")


def _head(path: Path) -> str:
    return f"==> {path} <=="
