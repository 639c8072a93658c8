"""`hpctrain convert`: data into a training store, or a batch script for another scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hpctrain.cli.convert_data import convert_data
from hpctrain.cli.convert_script import convert_script
from hpctrain.cli.lint import SCHEDULERS
from hpctrain.errors import ConfigError

STORES = ("npy", "zarr", "records")


def _option(flag: str, text: str, **more: Any) -> Any:
    return typer.Option(flag, help=text, **more)


def command(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Data, or one batch script.")
    ],
    to: Annotated[
        str, _option("--to", "Data: npy, zarr or records. Script: pbs, slurm or cobalt.")
    ],
    out: Annotated[
        Path | None, _option("--out", "New folder for data; file for a script, or stdout.")
    ] = None,
    variable: Annotated[
        list[str] | None,
        _option("--variable", "Variable, redshift, volume or level to keep; may be repeated."),
    ] = None,
    steps: Annotated[
        str | None, _option("--steps", "Which sources.", metavar="START:STOP:STRIDE")
    ] = None,
    crop: Annotated[
        str | None,
        _option("--crop", "Cells along the last axes, as 1:200,:,0:90.", metavar="A:B"),
    ] = None,
    dtype: Annotated[
        str | None, _option("--dtype", "Stored type; refused where numbers would be lost.")
    ] = None,
    codec: Annotated[
        str | None, _option("--codec", "zarr: zstd (default), blosc (lz4) or none.")
    ] = None,
    chunk: Annotated[
        int | None, _option("--chunk", "zarr: edge of a chunk in cells; default 64.", min=1)
    ] = None,
    shard: Annotated[
        int | None, _option("--shard", "zarr: edge of a shard in cells; default 256 or 512.", min=1)
    ] = None,
    decode: Annotated[
        bool, _option("--decode", "records: pictures as numbers, not as their JPEG bytes.")
    ] = False,
    keep_off_law: Annotated[
        bool,
        _option("--keep-off-law", "records: keep thermal values that no camera gives, as float64."),
    ] = False,
    reader: Annotated[
        str | None,
        _option("--reader", "Class of your own that reads SOURCE.", metavar="MODULE.CLASS"),
    ] = None,
    licence: Annotated[
        str | None, _option("--licence", "For the data card; default: what the source states.")
    ] = None,
    workers: Annotated[
        int | None, _option("--workers", "Threads; default: cores, up to 8.", min=1)
    ] = None,
    memory: Annotated[
        int | None, _option("--memory", "MB for what is read at a time; default 128.", min=1)
    ] = None,
    no_verify: Annotated[
        bool, _option("--no-verify", "Do not read the result back and compare.")
    ] = False,
) -> None:
    """Convert data into a store that a training reads fast, or translate a batch script.

    Data: NetCDF, HDF5 and npy fields, TIFF layers, fragments, .volpkg and OME-Zarr volumes, and
    pairs of pictures (a pair index, or folders with the same stems) become a new folder with a
    data card. Memory is bounded; after an interruption the same command goes on.

        hpctrain convert spherical*.nc --to npy --out mantle

    A batch script's directives and variables are translated for another scheduler; what has no
    equivalent is said on stderr and stays in the script as a comment.

        hpctrain convert old.pbs --to slurm --out new.slurm
    """
    options = {
        "variable": variable,
        "steps": steps,
        "crop": crop,
        "dtype": dtype,
        "codec": codec,
        "chunk": chunk,
        "shard": shard,
        "decode": decode,
        "keep_off_law": keep_off_law,
        "reader": reader,
        "licence": licence,
        "workers": workers,
        "memory": memory,
        "no_verify": no_verify,
    }
    given = {name: value for name, value in options.items() if value not in (None, False, [])}
    if to in SCHEDULERS:
        if given:
            option = "--" + min(given).replace("_", "-")
            raise ConfigError(f"{option}: has no effect on a batch script; leave it out")
        if len(sources) > 1:
            raise ConfigError(f"--to {to}: translates one batch script, found {len(sources)} files")
        convert_script(sources[0], to, out)
        return
    if to not in STORES:
        raise ConfigError(
            f"--to: found {to!r}; choose from {', '.join(SCHEDULERS)} for a batch script, "
            f"{', '.join(STORES)} for data"
        )
    if out is None:
        raise ConfigError(f"--out: is missing; --to {to} needs the name of a new folder")
    convert_data(tuple(sources), to, out, given)
