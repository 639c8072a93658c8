"""`hpctrain index diff`: what differs between two indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.index.place import AsJson, load


def command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="An index, or a run's.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another one.")],
    as_json: AsJson = False,
    is_brief: Annotated[bool, typer.Option("--brief", help="Only how many of each kind.")] = False,
) -> None:
    """Say which samples were added, removed, moved, or changed content, status or split.

    Exit code 0: none; 1: some, as diff(1) does.
    """
    from collections import Counter

    from hpctrain.index.diff import KINDS, diff_indexes

    changes = diff_indexes(load(old), load(new))
    counts = Counter(change.kind for change in changes)
    if as_json:
        import json

        typer.echo(json.dumps([change._asdict() for change in changes], indent=1))
    else:
        for change in () if is_brief else changes:
            typer.echo(f"{change.kind:8} {change.id}: {change.text}")
        parts = [f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]]
        typer.echo(", ".join(parts) or "the same samples")
    if changes:
        raise typer.Exit(1)
