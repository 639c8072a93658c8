"""`hpctrain index import | export`: pairs as text files, one a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.index.build import run_build
from hpctrain.cli.index.place import IndexPath, load
from hpctrain.errors import ConfigError


def import_command(
    root: Annotated[
        Path, typer.Argument(metavar="ROOT", help="Folder with pairs/, rgb/ and thermal/.")
    ],
    rule: Annotated[
        str, typer.Option("--rule", help="Modalities, in the order of the lines: a rule.")
    ] = "sage",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="INDEX", help="The index's CSV; default: ROOT/index.csv."),
    ] = None,
) -> None:
    """Index the samples that pairs/NODE/*.txt list, a line a modality; bad_pairs/ lists bad ones.

    Paths and texts of the lists are kept, so that an export gives the same bytes.
    """
    run_build(root, rule, out, {"pair": "listed"})


def export_command(
    place: IndexPath,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where pairs/ is written.")],
    splits: Annotated[
        list[str] | None, typer.Option("--split", help="Only samples of this split.")
    ] = None,
) -> None:
    """Write a text file for each sample, pairs/NODE/NAME.txt, with the name of a file a line.

    Bad samples that have all files go to bad_pairs/. Lists that were imported get their old bytes.
    """
    from hpctrain.index.seed_layout import write_lists

    index = load(place)
    known = sorted({row.split for row in index.rows if row.split})
    unknown = sorted(set(splits or ()) - set(known))
    if unknown:
        raise ConfigError(
            f"--split: no sample is in {', '.join(unknown)}; the index has "
            f"{', '.join(known) or 'no splits'}"
        )
    num = write_lists(index, folder, tuple(splits or ()))
    left = len(index.rows) - num
    more = f"; {left} samples have no list there" if left else ""
    typer.echo(f"{folder}: {num} lists written{more}")
