"""`hpctrain models`: what networks need and cost, before anything is queued."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hpctrain.cli.job import Overrides, load
from hpctrain.errors import ConfigError


def command(
    job: Annotated[
        str | None,
        typer.Option("--job", metavar="JOB", help="Networks of this job; or all, with defaults."),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option("--crop", metavar="N[,N,N]", help="Input cells of a sample; default 16."),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option("--channels", metavar="IN,OUT", help="Variables; default of the job's files."),
    ] = None,
    factor: Annotated[
        int | None,
        typer.Option("--factor", min=2, help="Upscale factor without a job; default 4."),
    ] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
) -> None:
    """Show networks: sizes, halo, receptive field, memory and arithmetic.

    All is computed from the networks themselves, without data and without a GPU. Memory and
    arithmetic are those of one sample in float32.
    """
    from hpctrain.registry import MODELS, resolve

    if overrides and job is None:
        raise ConfigError("--set: changes a job; give --job")
    cells = _numbers("--crop", crop, (1, 3))
    pair = _numbers("--channels", channels, (2,))
    rows: list[dict[str, Any]] = resolve(MODELS)(
        load(job, overrides or ()).job if job is not None else None,
        Path.cwd(),
        crop=cells * 3 if len(cells) == 1 else cells or None,
        channels=pair or None,
        upscale_factor=factor,
    )
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for line in _table(rows):
        typer.echo(line)
    if any(row["channels_assumed"] for row in rows):
        typer.echo("\nthe job's files are not there: channels are a guess; give --channels IN,OUT")


def _numbers(option: str, text: str | None, counts: Sequence[int]) -> tuple[int, ...]:
    if text is None:
        return ()
    parts = text.split(",")
    if len(parts) not in counts or not all(p.strip().isdigit() and int(p) > 0 for p in parts):
        wanted = " or ".join(str(n) for n in counts)
        raise ConfigError(f"{option}: found {text!r}; allowed: {wanted} whole numbers from 1 on")
    return tuple(int(part) for part in parts)


_COLUMNS: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("network", lambda row: f"{row['role']} {row['kind']}"),
    ("parameters", lambda row: f"{row['parameters']:,}"),
    ("sizes", lambda row: row["size_rule"] or "by trial"),
    ("sees", lambda row: str(row["receptive_field"] or "?")),
    ("halo", lambda row: _by(row["halo"])),
    ("input", lambda row: f"{row['input'][0]} x {_by(row['input'][1:])}"),
    ("output", lambda row: f"{row['output'][0]} x {_by(row['output'][1:])}"),
    ("GFLOP", lambda row: f"{row['forward_gflop']:.3g}"),
    ("training", lambda row: f"{row['training_gflop']:.3g}"),
    ("state MB", lambda row: f"{row['state_mb']:.3g}"),
    ("kept MB", lambda row: f"{row['activations_mb']:.3g}"),
)
"""Headings, and what stands below; `sees` is the receptive field in input cells, `kept` what
the backward pass needs of the forward pass."""
_RIGHT = {"parameters", "sees", "halo", "GFLOP", "training", "state MB", "kept MB"}


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [[name for name, _ in _COLUMNS]]
    lines += [[cell(row) for _, cell in _COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
    return [
        "  ".join(
            text.rjust(width) if name in _RIGHT else text.ljust(width)
            for text, width, (name, _) in zip(line, widths, _COLUMNS, strict=True)
        ).rstrip()
        for line in lines
    ]


def _by(values: Sequence[int]) -> str:
    """Sizes along the axes; one number where they are equal."""
    return str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))
