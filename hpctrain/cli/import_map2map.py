"""`hpctrain import-map2map`: a job file from a command line of map2map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpctrain.errors import ConfigError


def command(
    line: Annotated[
        str, typer.Argument(metavar="COMMAND", help="'m2m.py train ...', quoted, or - for stdin.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it; or stdout.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Job; default that of --out.")] = None,
    gpus: Annotated[
        int, typer.Option("--gpus", min=1, help="GPUs it ran on; the batch size is that of one.")
    ] = 1,
) -> None:
    """Write the job file that does what `m2m.py train ...` does.

    What is done in another way is said on stderr and at the file's head. An option without an
    equivalent is an error that says why.
    """
    from hpctrain.imports import import_map2map

    if line == "-":
        line = typer.get_text_stream("stdin").read()
    if out is not None and out.exists():
        raise ConfigError(f"{out}: is there already; remove it, or choose another --out")
    made = import_map2map(line, name or (out.stem if out else "map2map"), gpus)
    if out is None:
        typer.echo(made.text, nl=False)
    else:
        temporary = out.with_name(f".{out.name}.tmp")
        try:
            temporary.write_text(made.text, encoding="utf-8")
            temporary.replace(out)
        except OSError as e:
            raise ConfigError(f"{out}: {e.strerror}; give a file in a folder that is there") from e
        typer.echo(f"{out}: written; next: hpctrain models --job {out}")
    for note in made.notes:
        typer.echo(f"hpctrain: {note}", err=True)
