"""`hpctrain verify`: what was done to a run directory since it was rendered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.run_dir import find_run_or_sweep

if TYPE_CHECKING:
    from hpctrain.preflight.verify import Verdict


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
    digests: Annotated[
        bool, typer.Option("--digests", help="Read all data files, not only their sizes.")
    ] = False,
) -> None:
    """Say what was edited, added or removed since rendering, and whether the data are the same.

    Editing is allowed: nothing is recorded or undone. Exit code 0: unchanged; files laid beside it,
    such as an image, do not count, but those in code/ do. Exit code 2: something differs.
    """
    from hpctrain.preflight.verify import verify_all

    folder = find_run_or_sweep(run)
    verdicts = list(verify_all(folder, digests))
    if as_json:
        typer.echo(json.dumps([verdict.as_dict() for verdict in verdicts], indent=1))
    elif len(verdicts) == 1:
        typer.echo("\n".join(_lines(verdicts[0])))
    else:
        typer.echo("\n".join(_sweep_lines(folder, verdicts)))
    if not all(verdict.is_unchanged for verdict in verdicts):
        raise typer.Exit(2)


def _sweep_lines(folder: Path, verdicts: list[Verdict]) -> list[str]:
    """Only what is not as it was, of the sweep itself and its points."""
    found = [line for verdict in verdicts for line in _lines(verdict)[:-1]]
    changed = sum(not verdict.is_unchanged for verdict in verdicts[1:])
    points = f"{len(verdicts) - 1} points"
    if all(verdict.is_unchanged for verdict in verdicts):
        return [*found, f"{folder}: unchanged since it was rendered; {points} compared"]
    return [*found, f"{folder}: differs from what was rendered, in {changed} of {points}"]


def _lines(verdict: Verdict) -> list[str]:
    found = [f"{d.what}: {verdict.run_dir / d.path}" for d in verdict.differences]
    found += [f"index: {fault}" for fault in verdict.index]
    if verdict.is_unchanged:
        rows = f" and {verdict.num_rows} rows of the index" if verdict.num_rows else ""
        compared = f"{verdict.num_files} files{rows}"
        return [*found, f"{verdict.run_dir}: unchanged since it was rendered; {compared} compared"]
    return [*found, f"{verdict.run_dir}: differs from what was rendered"]
