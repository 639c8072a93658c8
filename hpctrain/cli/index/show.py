"""`hpctrain index show`: counts, rows, or one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.index.place import AsJson, IndexPath, load, summary
from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.index import Index, Row


def command(
    place: IndexPath,
    sample: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One sample; left out: counts.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", help="""Only these: node == "W02D" and status == "bad"."""),
    ] = None,
    is_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count samples by split, status, reason and node, or print some of them.

    An expression compares columns with texts in quotes or with numbers (==, !=, <, <=, >, >=, in,
    not in), joined by and, or, not. day, hour, month and year are parts of the time.
    """
    if is_csv and as_json:
        raise ConfigError("--csv and --json: give one of them")
    index = load(place)
    rows = _chosen(index, sample, where)
    if sample is not None and not (is_csv or as_json):
        for row in rows:
            _print_row(row)
    elif is_csv:
        _print_csv(index, rows)
    elif as_json:
        _print_json(index, rows, has_rows=sample is not None or where is not None)
    else:
        _print_counts(index, rows, is_part=where is not None)


def _chosen(index: Index, sample: str | None, where: str | None) -> list[Row]:
    from hpctrain.config.words import nearest
    from hpctrain.index.query import row_filter

    rows = list(index.rows)
    if sample is not None:
        rows = [row for row in rows if row.id == sample]
        if not rows:
            near = nearest(sample, (row.id for row in index.rows[:10_000]))
            raise ConfigError(f"{sample}: no such sample{near}")
    if where is not None:
        fits = row_filter(where, index.columns)
        rows = [row for row in rows if fits(row)]
    return rows


def _print_row(row: Row) -> None:
    width = max(map(len, row.columns.names))
    for name, cell in zip(row.columns.names, row.cells, strict=True):
        if cell:
            typer.echo(f"{name:{width}}  {cell}")


def _print_csv(index: Index, rows: Sequence[Row]) -> None:
    from dataclasses import replace

    for piece in replace(index, rows=tuple(rows)).csv_pieces():
        typer.echo(piece.decode(), nl=False)


def _print_json(index: Index, rows: Sequence[Row], *, has_rows: bool) -> None:
    import json

    from hpctrain.index.query import counts

    page: object = {"root": str(index.root), "rows": len(rows), **counts(index, rows)}
    if has_rows:
        page = [dict(zip(row.columns.names, row.cells, strict=True)) for row in rows]
    typer.echo(json.dumps(page, indent=1))


def _print_counts(index: Index, rows: Sequence[Row], *, is_part: bool) -> None:
    from dataclasses import replace

    from hpctrain.index.query import counts

    what = f"{len(rows)} of {len(index.rows)} samples" if is_part else summary(index)
    typer.echo(f"{index.root}: {what}; {', '.join(index.columns.modalities)}")
    for name, found in counts(index, rows).items():
        if set(found) <= {"-"}:
            continue
        typer.echo(f"{name}:")
        for value, num in sorted(found.items(), key=lambda item: (-item[1], item[0])):
            typer.echo(f"  {num:>7} {value}")
    if is_part and rows:
        typer.echo("first:")
        for row in replace(index, rows=tuple(rows[:10])).rows:
            typer.echo(f"  {row.id}  {row.reason or row.split or row.status}")
