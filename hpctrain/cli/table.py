"""`hpctrain table`: the results of a sweep, one row a point."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hpctrain.cli.run_dir import find_folder
from hpctrain.errors import ConfigError


def command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Sweep, its name in jobs/, or a folder of runs."),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, for programs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="COLUMN", help="Smallest first.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Last row first.")] = False,
) -> None:
    """Show the points of a sweep: parameters, state, loss, validation, speed; at any time."""
    from hpctrain.sweep.table import collect, short_names, sort_rows

    if as_csv and as_json:
        raise ConfigError("--csv and --json exclude each other; give one of them")
    rows = collect(find_folder(folder))
    rows = sort_rows(rows, sort) if sort is not None else rows
    rows = rows[::-1] if reverse else rows
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows(["" if v is None else v for v in row.values()] for row in rows)
    else:
        names = short_names(list(rows[0]))
        typer.echo(aligned([{names[key]: value for key, value in row.items()} for row in rows]))


def aligned(rows: Sequence[dict[str, Any]]) -> str:
    """Columns two spaces apart, numbers to the right; `-` for what is not known."""
    columns = list(rows[0])
    lines = [columns, *([_cell(row[c]) for c in columns] for row in rows)]
    width = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    is_number = [all(isinstance(row[c], int | float | None) for row in rows) for c in columns]
    padded = (
        "  ".join(
            cell.rjust(n) if right else cell.ljust(n)
            for cell, n, right in zip(line, width, is_number, strict=True)
        )
        for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
