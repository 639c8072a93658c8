"""`hpctrain reproduce`: the job of a crate, here."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.job import Overrides, SiteName, this_site
from hpctrain.cli.run_dir import RUNS
from hpctrain.cli.trace import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpctrain.crate.reproduce import Outcome


def command(
    crate: Annotated[
        Path, typer.Argument(metavar="CRATE", help="Zip file or folder that export wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of all run directories.")] = RUNS,
    as_name: Annotated[
        str | None, typer.Option("--as", help="Name of the run, where it is not the crate's.")
    ] = None,
    overrides: Overrides = None,
    site: SiteName = None,
    data_root: Annotated[
        Path | None, typer.Option("--data-root", help="Where the input files are here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Render the job of a crate again, and say what differs on this machine.

    The run directory gets the crate's configuration, code and index. Exit code 0: nothing differs
    that could change the result. Exit code 2: something does; the run is rendered all the same.
    """
    from hpctrain.crate.compare import Here
    from hpctrain.crate.reproduce import Options, reproduce
    from hpctrain.render.code import collect
    from hpctrain.schedulers import scheduler_of

    options = Options(out, as_name, site, data_root, tuple(overrides or ()))
    here = Here(this_site(), collect((), Path.cwd()))
    outcome = reproduce(crate, options, here, lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(json.dumps(_page(outcome), indent=1))
    else:
        typer.echo("\n".join(_lines(outcome)))
        scheduler = scheduler_of(outcome.run_dir)
        if scheduler is not None:
            start = scheduler.submit_command(str(outcome.run_dir / scheduler.script))
            typer.echo(f"next: {shlex.join(start)}")
    if not outcome.is_same:
        raise typer.Exit(2)


def _page(outcome: Outcome) -> dict[str, object]:
    return {
        "run": str(outcome.run_dir),
        "what": outcome.what,
        "is_same": outcome.is_same,
        "compared": [d.as_dict() for d in outcome.differences],
    }


def _lines(outcome: Outcome) -> Iterator[str]:
    for d in outcome.differences:
        if d.is_same:
            yield f"same     {d.what:14} {plain(d.now)}"
        else:
            yield f"DIFFERS  {d.what:14} was {plain(d.was)}, here {plain(d.now)}"
        for line in d.details:
            yield f"{'':24}{plain(line)}"
    yield ""
    found = [d.what for d in outcome.differences if not d.is_same]
    verdict = f"differs in {', '.join(found)}" if found else "the same job, and nothing differs"
    yield f"{outcome.run_dir}: {outcome.what}; {verdict}"
