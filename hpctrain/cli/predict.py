"""`hpctrain predict`: whole fields out of a run's network."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.errors import ConfigError, LaunchError

_LAUNCHED = (
    *("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "PALS_RANKID", "MV2_COMM_WORLD_RANK"),
    *("MPI_LOCALRANKID", "JSM_NAMESPACE_RANK", "ALPS_APP_PE", "TORCHELASTIC_RUN_ID"),
)
"""Variables of launchers that start several ranks; srun has its own rule."""
_CHOICES = {
    "--dtype": ("float32", "float16"),
    "--format": ("npy", "netcdf", "zarr", "png", "tiff"),
    "--weights": ("auto", "last", "ema"),
    "--device": ("auto", "cpu", "cuda"),
    "--precision": ("float32", "bfloat16", "float16", "run"),
}


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="File (.npy, .nc, .zarr; of ink .png, .tif), or folder."),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILES",
            help="Input files, or a pattern in quotes; once for each field of a sample. Default: "
            "the run's validation files.",
        ),
    ] = None,
    coarsen: Annotated[
        bool,
        typer.Option("--coarsen", help="Inputs are fine fields: coarsen them as in the training."),
    ] = False,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="In a folder: npy, netcdf or zarr, default as the inputs; of ink png, tiff or "
            "zarr, default all.",
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", help="Name in checkpoints/, or a path; default the newest."),
    ] = None,
    weights: Annotated[
        str,
        typer.Option("--weights", help="last, ema, or auto: those that validations judge."),
    ] = "auto",
    members: Annotated[
        int, typer.Option("--members", min=1, help="Predictions of each input, by noise.")
    ] = 1,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Of the noise; default the run's.")
    ] = None,
    noise: Annotated[
        bool, typer.Option("--noise/--no-noise", help="Whether the generator gets noise.")
    ] = True,
    style: Annotated[
        str | None,
        typer.Option("--style", metavar="X[,X]", help="Style of all inputs, such as a redshift."),
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option("--tile", metavar="N[,N,N]", help="Input cells of a tile; default by memory."),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option("--overlap", min=0, help="Input cells that tiles share and are blended over."),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option("--stride", min=1, help="Of ink: pixels from window to window; default half."),
    ] = None,
    border: Annotated[
        int | None,
        typer.Option("--border", min=0, help="Of ink: pixels at a window's sides not to use."),
    ] = None,
    depth_offsets: Annotated[
        str | None,
        typer.Option(
            "--depth-offsets", metavar="N[,N]", help="Of ink: layers off the middle; default 0."
        ),
    ] = None,
    flips: Annotated[
        bool, typer.Option("--flips", help="Of ink: mean of the four mirrored views.")
    ] = False,
    memory_mb: Annotated[
        int | None,
        typer.Option("--memory-mb", min=1, help="For a tile's activations; default 1000 on CPUs."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[
        str,
        typer.Option("--precision", help="float32, bfloat16, float16, or run: as trained."),
    ] = "float32",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there.")
    ] = False,
) -> None:
    """Predict whole fields, tile by tile, or where ink is on whole segments.

    Fields come in physical units with coordinates. Under mpirun or srun all ranks share the tiles.
    """
    folder = find_run(run)
    through_rank_sh(folder, os.environ)
    for option, value in (
        *(("--format", kind), ("--weights", weights)),
        *(("--device", device), ("--precision", precision)),
    ):
        check_choice(option, value)
    from hpctrain.registry import PREDICT, PREDICT_OPTIONS, resolve

    options = resolve(PREDICT_OPTIONS)(
        out=out,
        inputs=inputs or [],
        coarsen=coarsen,
        kind=kind,
        checkpoint=checkpoint,
        weights=weights,
        members=members,
        seed=seed,
        has_noise=noise,
        style=_numbers("--style", style, float),
        tile=_tile(tile),
        overlap=overlap,
        stride=stride,
        border=border,
        depth_offsets=[int(n) for n in _numbers("--depth-offsets", depth_offsets, int)],
        flips=flips,
        memory_mb=memory_mb,
        device=device,
        precision=precision,
        overwrite=overwrite,
    )
    for line in resolve(PREDICT)(folder, options) or ():
        typer.echo(line)


def through_rank_sh(run: Path, env: Mapping[str, str]) -> None:
    """Begin again behind the run's rank.sh, which finds this rank's place and its GPU.

    It knows all launchers, and masks must stand before CUDA starts.

    Raises:
        LaunchError: the run has no rank.sh.
    """
    by_srun = env.get("SLURM_STEP_NUM_TASKS", "1") not in ("", "1")
    is_launched = by_srun or any(env.get(name) for name in _LAUNCHED)
    if not is_launched or "HPCTRAIN_RANK" in env:
        return
    wrapper = run / "rank.sh"
    if not wrapper.is_file():
        raise LaunchError(
            f"{run}: has no rank.sh, which tells several ranks apart; render the run anew, or "
            "start one process without a launcher"
        )
    command = ["/bin/sh", str(wrapper), sys.executable, "-m", "hpctrain", *sys.argv[1:]]
    os.execv(command[0], command)  # noqa: S606 - the run's own wrapper


def check_choice(option: str, value: str | None) -> None:
    """Refuse what is not among an option's choices.

    Raises:
        ConfigError: names them.
    """
    choices = _CHOICES[option]
    if value is not None and value not in choices:
        from hpctrain.config.words import nearest

        raise ConfigError(
            f"{option}: found {value!r}; choose from {', '.join(choices)}{nearest(value, choices)}"
        )


def _tile(text: str | None) -> list[int]:
    found = [int(n) for n in _numbers("--tile", text, int)]
    if text is not None and (len(found) not in (1, 3) or min(found) < 1):
        raise ConfigError(f"--tile: found {text!r}; allowed: 1 or 3 whole numbers from 1 on")
    return found


def _numbers(option: str, text: str | None, kind: type) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")] if text else []
    except ValueError:
        raise ConfigError(f"{option}: found {text!r}; allowed: numbers, such as 1,2") from None
