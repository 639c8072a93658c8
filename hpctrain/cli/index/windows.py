"""`hpctrain index windows`: a row for each window of each volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.index.place import IndexPath, counted, load, summary
from hpctrain.errors import ConfigError, DataError

if TYPE_CHECKING:
    from hpctrain.index import Index

_SHOWN = 5


def command(
    place: IndexPath,
    window: Annotated[
        str, typer.Option("--window", metavar="Z,Y,X", help="Cells of a window along each axis.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="NEW", help="The new index's CSV.")],
    step: Annotated[
        str | None,
        typer.Option(
            "--step", metavar="Z,Y,X", help="Cells from a window to the next; default: a window."
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option("--of", metavar="MODALITY", help="What has the cells; default: the first."),
    ] = None,
) -> None:
    """Write an index with a row for each window of each usable volume of an index.

    Rows have the place (z, y, x) and the size (depth, height, width) of the window, and all files
    of its volume. Nothing but headers is read. Divide them with `index split --by region:y=CELLS`;
    an index at NEW that was divided so keeps its splits.
    """
    from hpctrain.index.store import index_paths, save_index
    from hpctrain.index.windows.make import make_windows

    size = _triple("--window", window)
    pace = size if step is None else _triple("--step", step)
    index = load(place)
    target = index_paths(out)[0]
    if target.resolve() == index_paths(place)[0].resolve():
        raise ConfigError(f"--out: {target}: is the index of the volumes; give another place")
    if not target.parent.is_dir():
        raise ConfigError(f"--out: {target}: its folder does not exist; create it")
    try:
        made = make_windows(index, of, size, pace)
    except DataError as e:
        raise DataError(f"{place}: {e}") from e
    new = _with_splits(made.index, target)
    is_new = save_index(new, target)
    for line in made.left_out[:_SHOWN]:
        typer.echo(f"note: {line}", err=True)
    if len(made.left_out) > _SHOWN:
        typer.echo(f"note: and {len(made.left_out) - _SHOWN} more volumes likewise", err=True)
    text = f"{'x'.join(map(str, size))} cells of {counted(made.num_volumes, 'volume')}"
    typer.echo(f"{target}: {'written' if is_new else 'nothing changed'}; {summary(new)}; {text}")


def _with_splits(index: Index, target: Path) -> Index:
    """With the splits of the index of windows that is at the same place, if it was divided."""
    from hpctrain.index.split import kept_places, split_index
    from hpctrain.index.store import load_index, load_page
    from hpctrain.index.windows.make import FACT

    page = load_page(target)
    if page is None:
        return index
    if FACT not in page:
        raise ConfigError(f"--out: {target}: is an index of something else; give another place")
    recipe = page.get("split")
    if not recipe:
        return index
    return split_index(index, recipe, kept_places(load_index(target), index, recipe["by"]))


def _triple(option: str, text: str) -> tuple[int, int, int]:
    try:
        z, y, x = (int(part) for part in text.split(","))
    except ValueError as e:
        raise ConfigError(f"{option}: found {text!r}; allowed: Z,Y,X such as 16,256,256") from e
    if min(z, y, x) < 1:
        raise ConfigError(f"{option}: found {text!r}; allowed: whole numbers from 1 on")
    return z, y, x
