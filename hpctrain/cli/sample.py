"""`hpctrain sample`: honest sample data, computed on this machine; each sample has its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Compute sample data on this machine.", no_args_is_help=True)

Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder to write; default data/NAME.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the start; default 0.")]


@app.command("mantle")
def mantle(
    out: Out = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Time steps; default 24.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="R,LAT,LON", help="Cells along each axis; default 32,64,128."
        ),
    ] = None,
    seed: Seed = None,
) -> None:
    """Mantle convection over time: NetCDF as of the SciVis contest 2021."""
    _write("mantle", out, steps=steps, size=_counts(size, "32,64,128"), seed=seed)


@app.command("nbody")
def nbody(
    out: Out = None,
    universes: Annotated[
        int | None, typer.Option("--universes", min=1, help="Files; default 6.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="N", help="Particles along each axis; default 64."),
    ] = None,
    box: Annotated[
        float | None,
        typer.Option("--box", metavar="LENGTH", help="Box in Mpc/h; default 1 a particle."),
    ] = None,
    seed: Seed = None,
) -> None:
    """Dark matter of several universes: HDF5 as of CosmoFlow."""
    _write("nbody", out, universes=universes, size=size, box=box, seed=seed)


@app.command("scroll")
def scroll(
    out: Out = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="ROWS,COLUMNS", help="Flattened surface in voxels; default 512,2048."
        ),
    ] = None,
    ink: Annotated[
        str | None,
        typer.Option("--ink", help="carbon (default): changes texture only; dense: X-rays see it."),
    ] = None,
    seed: Seed = None,
) -> None:
    """Rolled papyrus with ink: TIFF as of the Vesuvius Challenge."""
    _write("scroll", out, size=_counts(size, "512,2048"), ink=ink, seed=seed)


@app.command("sky")
def sky(
    out: Out = None,
    scenes: Annotated[
        int | None, typer.Option("--scenes", min=1, help="Pairs; default 160.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option("--nodes", help="Cameras, 1 to 8; default 3.")
    ] = None,
    bad: Annotated[
        int | None, typer.Option("--bad", min=0, help="Spoilt pairs among them; default a tenth.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="W,H", help="Pixels of the picture, both halves; default 1200,400."
        ),
    ] = None,
    raw: Annotated[
        bool | None, typer.Option("--raw", help="Write thermal frames in binary form, too.")
    ] = None,
    seed: Seed = None,
) -> None:
    """Sky pictures and thermal frames: JPEG and CSV as of SAGE's Mobotix cameras."""
    pixels = _counts(size, "1200,400")
    _write("sky", out, scenes=scenes, nodes=nodes, bad=bad, size=pixels, raw=raw, seed=seed)


def _write(name: str, out: Path | None, **options: Any) -> None:
    """Run a generator with the options that were given; its defaults are its own."""
    from hpctrain.registry import SAMPLES, resolve

    given = {key: value for key, value in options.items() if value is not None}
    write = resolve(SAMPLES[name], extras="train,data")
    folder = out or Path("data") / name
    files = write(folder, progress=lambda line: typer.echo(line, err=True), **given)
    typer.echo(f"{folder}: {len(files)} files")


def _counts(text: str | None, example: str) -> tuple[int, ...] | None:
    """Whole numbers as many as in the example."""
    from hpctrain.errors import ConfigError

    if text is None:
        return None
    parts, number = text.split(","), len(example.split(","))
    if len(parts) != number or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        words = {2: "two", 3: "three"}[number]
        raise ConfigError(
            f"--size: found {text!r}; allowed: {words} whole numbers, such as {example}"
        )
    return tuple(int(part) for part in parts)
