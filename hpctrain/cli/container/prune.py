"""`hpctrain container prune`: what builds have kept, and what of it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hpctrain.container.cache import Cache
    from hpctrain.container.kept import Kept


def command(
    older: Annotated[
        float | None,
        typer.Option(
            "--older", metavar="DAYS", min=0, help="Not used for longer than this; default: 30."
        ),
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Whatever no build uses just now.")] = False,
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
) -> None:
    """List the layers that `container build` has kept, and remove those that went unused.

    A layer that is gone is built again when it is needed. What a build uses at the moment stays,
    and so do finished images, such as hpctrain.sif. Half images that a killed build left always
    go; what it had unpacked lies elsewhere: hpctrain-image-* in $TMPDIR or --tmp.
    """
    from hpctrain.cli.table import aligned
    from hpctrain.container.cache import user_cache
    from hpctrain.container.kept import DAYS, survey, totals
    from hpctrain.errors import ConfigError, ImageError

    if is_all and older is not None:
        raise ConfigError("--all and --older exclude each other; give one of them")
    cache = user_cache()
    kept = survey(cache)
    if not kept:
        typer.echo(f"{cache.folder}: nothing is kept")
        return
    days = -1.0 if is_all else DAYS if older is None else older
    rows, free, stuck = [], 0, 0
    for one in kept:
        try:
            size, what = _judge(cache, one, days, is_dry)
        except OSError as e:  # the others go, and the table is shown
            size, what, stuck = 0, f"stays: {e.strerror or e}", stuck + 1
        free += size
        rows.append(_row(one, what))
    typer.echo(f"{cache.folder}: {totals(kept)}")
    typer.echo(aligned(rows))
    if free or not stuck:
        typer.echo(_end(free, is_dry, days))
    if stuck:
        text = f"{cache.folder}: {stuck} of {len(kept)} cannot be removed, see the last column"
        raise ImageError(
            f"{text}; remove what is no file there, or make files of other users (of root, after "
            "sudo) your own with chown, and call this again"
        )


def _judge(cache: Cache, one: Kept, days: float, is_dry: bool) -> tuple[int, str]:
    """Remove what is to go; bytes that are free then, and what became of it."""
    from hpctrain.container.kept import removable, remove

    is_old = one.days() > days
    if not is_old and not one.half_size:
        return 0, "stays"
    act = removable if is_dry else remove
    size = act(cache, one, is_whole=is_old)
    if size is None:
        return 0, "stays: a build uses it"
    if not is_old and one.is_whole:
        return size, "stays, but for half an image"
    return size, "would go" if is_dry else "removed"


def _row(one: Kept, what: str) -> dict[str, str | None]:
    from hpctrain.container.kept import gigabytes

    days = int(one.days())
    used = "today" if days == 0 else f"{days} day{'s' * (days > 1)} ago"
    layer = one.layer or one.digest
    return {
        "layer": layer if one.is_whole else f"{layer} (unfinished)",
        "size": gigabytes(one.size),
        "last used": used,
        "for": one.image or None,
        "now": what,
    }


def _end(free: int, is_dry: bool, days: float) -> str:
    from hpctrain.container.kept import gigabytes

    done = "would be freed" if is_dry else "freed"
    if free:
        return f"{gigabytes(free)} {done}"
    if days < 0:
        return f"nothing {done}: builds use what is left"
    return (
        f"nothing {done}: what is left was used within {days:g} days, or a build uses it; --all "
        "takes what no build uses now"
    )
