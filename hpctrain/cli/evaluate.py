"""`hpctrain evaluate`: how good whole fields of a run's newest checkpoint are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.registry import EVALUATE, resolve


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    members: Annotated[
        int, typer.Option("--members", min=0, help="Draws of the noise, to see its calibration.")
    ] = 8,
    fields: Annotated[
        int | None, typer.Option("--fields", min=1, help="Only the first so many files.")
    ] = None,
    memory_mb: Annotated[
        int | None,
        typer.Option("--memory-mb", min=1, help="For a tile's activations; default 1000 on CPUs."),
    ] = None,
) -> None:
    """Evaluate whole validation fields of the newest checkpoint, on this machine.

    Writes eval/whole.json (errors, correlation, spectra, distance of histograms, divergence and
    calibration by variable and shell) and eval/whole.npz, of which `hpctrain report` draws maps,
    sections and an animation.
    """
    folder = find_run(run)
    resolve(EVALUATE)(folder, members, fields, typer.echo, memory_mb=memory_mb)
    typer.echo(f"evaluation: {folder / 'eval' / 'whole.json'}")
    typer.echo(f"next: hpctrain report {folder}")
