"""`hpctrain index merge`: several indexes as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.index.place import load, summary
from hpctrain.errors import ConfigError


def command(
    places: Annotated[list[Path], typer.Argument(metavar="INDEX...", help="Two or more indexes.")],
    out: Annotated[Path, typer.Option("--out", metavar="INDEX", help="The new index's CSV.")],
) -> None:
    """Join indexes of the same modalities; their paths become relative to a common folder.

    One id for two samples, one file in two splits, and equal content in two splits are refused.
    """
    from hpctrain.index.merge import merge_indexes
    from hpctrain.index.store import index_paths, save_index

    if len(places) < 2:
        raise ConfigError("found one INDEX; allowed: two or more")
    taken = [
        place
        for place in places
        if index_paths(place)[0].resolve() == index_paths(out)[0].resolve()
    ]
    if taken:
        raise ConfigError(f"--out {out}: is one of the indexes that are merged; give another place")
    index = merge_indexes([load(place) for place in places], [str(place) for place in places])
    if not index_paths(out)[0].parent.is_dir():
        raise ConfigError(f"{out}: its folder does not exist; create it")
    is_new = save_index(index, out)
    what = "written" if is_new else "nothing changed"
    typer.echo(f"{index_paths(out)[0]}: {what}; {summary(index)}; root {index.root}")
