"""`hpctrain index split`: who learns from which samples."""

from __future__ import annotations

from typing import Annotated

import typer

from hpctrain.cli.index.place import IndexPath, load, summary
from hpctrain.errors import ConfigError


def command(
    place: IndexPath,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="What stays together: a column, day, hour, id:REGEX, or region:Y=1024/256,...",
        ),
    ] = None,
    validation: Annotated[
        str | None, typer.Option("--validation", help="Share or number of groups: 20%, 0.2, 12.")
    ] = None,
    test: Annotated[str | None, typer.Option("--test", help="Likewise, for a last test.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another number: another split.")] = 0,
    stratify: Annotated[
        str | None,
        typer.Option("--stratify", help="Take the share within each value of this column."),
    ] = None,
) -> None:
    """Divide the usable samples by groups, so that no group is in two splits.

    Only the column `split` changes. Building the index again keeps every group where it is. Equal
    content in two splits is refused.
    """
    from hpctrain.index.advice import check_groups
    from hpctrain.index.split import split_index
    from hpctrain.index.store import save_index

    parts = {"validation": validation, "test": test}
    given = {name: text for name, text in parts.items() if text is not None}
    if not given:
        raise ConfigError("--validation: how much? allowed: 20%, 0.2, or a number of groups")
    if not by:
        raise ConfigError(
            "--by: what stays together? such as node, day, a column, or id (each sample alone)"
        )
    index = load(place)
    recipe = {"by": by, "parts": given, "seed": seed, "stratify": stratify}
    notes = [*check_groups(index, "--by", by)]
    notes += check_groups(index, "--stratify", [stratify] if stratify else [])
    index = split_index(index, recipe, {})
    for note in notes:
        typer.echo(f"warning: {note}", err=True)
    is_new = save_index(index, place)
    typer.echo(f"{place}: {'written' if is_new else 'nothing changed'}; {summary(index)}")
