"""`hpctrain cancel`, `hold` and `release`: the jobs of runs, by the names of the runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.run_dir import RUNS, find_run
from hpctrain.cli.submit_sweep import is_sweep, jobs_of_sweep
from hpctrain.errors import HpctrainError

Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Run directories, or their names in jobs/.")
]


def cancel(
    runs: Runs,
    save: Annotated[
        bool, typer.Option("--save", help="Let a running training save first, and leave by itself.")
    ] = False,
) -> None:
    """End the jobs of runs, queued or at work; a chain is over then."""

    def one(run_dir: Path) -> None:
        from hpctrain.schedulers.control import cancel as end

        done = end(run_dir, save)
        if done.saving:
            typer.echo(f"{run_dir}: job {done.saving} saves at its next step, and leaves")
        if done.job_ids:
            typer.echo(f"{run_dir}: cancelled {_jobs(done.job_ids)}")
        if done.left_waiting:
            typer.echo(f"note: {_jobs(done.left_waiting)} waited for its success", err=True)

    _each(runs, one)


def hold(runs: Runs) -> None:
    """Keep the waiting jobs of runs from starting."""

    def one(run_dir: Path) -> None:
        from hpctrain.schedulers.control import hold as keep

        typer.echo(f"{run_dir}: held {_jobs(keep(run_dir))}")

    _each(runs, one)


def release(runs: Runs) -> None:
    """Let held jobs of runs start."""

    def one(run_dir: Path) -> None:
        from hpctrain.schedulers.control import hold as keep

        typer.echo(f"{run_dir}: released {_jobs(keep(run_dir, is_release=True))}")

    _each(runs, one)


def _jobs(ids: Iterable[str]) -> str:
    ids = list(ids)
    return f"{'job' if len(ids) == 1 else 'jobs'} {', '.join(ids)}"


def _folders(run: Path) -> list[Path]:
    """Where the jobs of a run, or of a sweep, are written down."""
    for folder in (run, RUNS / run):
        if is_sweep(folder):
            return jobs_of_sweep(folder)
    return [find_run(run)]


def _each(runs: list[Path], act: Callable[[Path], None]) -> None:
    """Act on every run, also where one of them fails; then fail as the first that did."""
    failures: list[HpctrainError] = []
    for folder in [job for run in runs for job in _folders(run)]:
        try:
            act(folder)
        except HpctrainError as e:
            failures.append(e)
    if failures:
        raise type(failures[0])("\n".join(map(str, failures)))
