"""`hpctrain embed`: all pictures of a run as vectors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.predict import check_choice, through_rank_sh
from hpctrain.cli.run_dir import find_run


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    checkpoints: Annotated[
        list[str] | None,
        typer.Option(
            "--checkpoint",
            help="Name in checkpoints/, or a path; again for more; default the newest.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the store; default embeddings/ in the run."),
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Of the numbers on disk: float32 or float16.")
    ] = "float32",
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Pairs that a rank encodes at a time.")
    ] = 64,
    scale: Annotated[
        float,
        typer.Option("--scale", min=0.1, help="Pictures are so many times as large as trained."),
    ] = 1.0,
    thumbs: Annotated[
        int, typer.Option("--thumbs", min=0, help="Pairs of which thumbnails are kept.")
    ] = 10_000,
    weights: Annotated[
        str,
        typer.Option("--weights", help="last, ema, or auto: those that validations judge."),
    ] = "auto",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[
        str,
        typer.Option("--precision", help="float32, bfloat16, float16, or run: as trained."),
    ] = "float32",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a store of something else.")
    ] = False,
) -> None:
    """Embed all pairs of a run: each picture through the encoder of its modality.

    Writes embeddings/CHECKPOINT/ in the run directory: rgb.npy and ir.npy, a row a pair, rows.csv
    and thumbnails. Under mpirun or srun all ranks share the pairs; the same command goes on where
    it was ended.
    """
    folder = find_run(run)
    through_rank_sh(folder, os.environ)
    for option, value in (
        *(("--dtype", dtype), ("--weights", weights)),
        *(("--device", device), ("--precision", precision)),
    ):
        check_choice(option, value)
    from hpctrain.registry import EMBED, EMBED_OPTIONS, resolve

    options = resolve(EMBED_OPTIONS)(
        checkpoints=checkpoints or [],
        out=out,
        dtype=dtype,
        batch_size=batch_size,
        scale=scale,
        thumbs=thumbs,
        weights=weights,
        device=device,
        precision=precision,
        overwrite=overwrite,
    )
    for line in resolve(EMBED)(folder, options) or ():
        typer.echo(line)
