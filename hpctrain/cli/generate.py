"""`hpctrain generate`: fields from a trained generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.errors import ConfigError
from hpctrain.registry import GENERATE, resolve


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="npy file to write.")],
    count: Annotated[int, typer.Option("--count", min=1, help="Fields; default 16.")] = 16,
    style: Annotated[
        str | None,
        typer.Option("--style", metavar="A,B,...", help="Numbers that condition the fields."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the noise; default 0.")] = 0,
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", help="File in RUN/checkpoints; default best.pt, or newest."),
    ] = None,
) -> None:
    """Make fields out of noise, in physical values, by the generator of a field_gan."""
    folder = find_run(run)
    try:
        numbers = [float(part) for part in style.split(",")] if style else []
    except ValueError as e:
        raise ConfigError(f"--style: found {style!r}; allowed: numbers with commas between") from e
    used = resolve(GENERATE)(folder, out, count, numbers, seed, checkpoint)
    typer.echo(f"{out}: {count} fields of {folder.name}, {used}")
