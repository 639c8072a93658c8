"""`hpctrain container render`: the definition of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.container import options
from hpctrain.cli.job import Overrides, SiteName


def command(
    job: Annotated[
        str | None,
        typer.Argument(metavar="JOB", help="Job file, or its name in jobs/; default: none."),
    ] = None,
    overrides: Overrides = None,
    site: SiteName = None,
    mpi: options.Mpi = None,
    mpi_from: options.MpiFrom = None,
    mpi_version: options.MpiVersion = None,
    mpi_source: options.MpiSource = None,
    device: options.Device = None,
    comm: options.Comm = None,
    base: options.Base = None,
    mirror: options.Mirror = None,
    pip_index: options.PipIndex = None,
    torch_index: options.TorchIndex = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; default: print it.", dir_okay=False),
    ] = None,
) -> None:
    """Write the Apptainer definition of an image, for a job, a site, or by options alone.

    It needs no other file than the archive of the MPI that you may name; every run directory has
    one, container.def.
    """
    given = {"family": mpi, "mpi_from": mpi_from, "mpi_version": mpi_version, "device": device}
    given |= {"comm": comm, "base": base, "mirror": mirror, "pip_index": pip_index}
    given |= {"torch_index": torch_index, "source": mpi_source}
    text = options.make(job, site, overrides or [], given).text
    if output is None:
        typer.echo(text, nl=False)
        return
    _write(output, text)
    typer.echo(f"{output}: written; next: hpctrain container build {output}")


def _write(path: Path, text: str) -> None:
    import os

    part = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
