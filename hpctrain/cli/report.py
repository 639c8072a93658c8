"""`hpctrain report`: one HTML page about a run."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from hpctrain import run_state
from hpctrain.errors import ConfigError
from hpctrain.registry import REPORT, resolve

JOBS = Path("jobs")


def command(
    run: Annotated[Path, typer.Argument(help="Run directory, or its name in jobs/.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default RUN/report.html.")
    ] = None,
) -> None:
    """Write one self-contained HTML page: curves, slices, spectra, what ran on what."""
    typer.echo(resolve(REPORT)(find_run(run), out))


def find_run(run: Path) -> Path:
    """The run directory that is meant: a path, or a name in jobs/.

    Raises:
        ConfigError: there is none; names the runs that there are.
    """
    for folder in (run, JOBS / run):
        if run_state.is_run(folder):
            return folder
    names = [path.name for path in run_state.find(JOBS)]
    if not names:
        raise ConfigError(
            f"{run}: no run directory, and none in {JOBS}/; "
            "make one with: hpctrain render mantle.yaml"
        )
    near = get_close_matches(run.name, names, 1)
    hint = f". Did you mean '{JOBS / near[0]}'?" if near else ""
    raise ConfigError(f"{run}: no run directory; choose from {', '.join(names)} in {JOBS}/{hint}")
