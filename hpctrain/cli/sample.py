"""`hpctrain sample`: honest sample data, computed on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which sample: mantle.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write; default data/NAME.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Time steps.")] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="R,LAT,LON", help="Cells along each axis.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the start.")] = None,
) -> None:
    """Compute sample data on this machine.

    mantle: time steps of a convection simulation, in the layout of the SciVis 2021 contest.
    """
    from hpctrain.errors import ConfigError
    from hpctrain.registry import SAMPLES, resolve

    if name not in SAMPLES:
        raise ConfigError(
            f"sample: unknown sample {name!r}; choose from {', '.join(sorted(SAMPLES))}"
        )
    options: dict[str, Any] = {"steps": steps, "size": _size(size), "seed": seed}
    given = {key: value for key, value in options.items() if value is not None}
    write = resolve(SAMPLES[name])
    folder = out or Path("data") / name
    files = write(folder, progress=lambda line: typer.echo(line, err=True), **given)
    typer.echo(f"{folder}: {len(files)} files")


def _size(text: str | None) -> tuple[int, ...] | None:
    from hpctrain.errors import ConfigError

    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(
            f"--size: found {text!r}; allowed: three whole numbers, such as 32,64,128"
        )
    return tuple(int(part) for part in parts)
