"""`hpctrain index`: which files belong together, which are bad, and who learns from which."""

from __future__ import annotations

import typer

from hpctrain.cli.index import build, show, split

app = typer.Typer(
    help="Build, check, split and compare the index of a folder of samples.", no_args_is_help=True
)
app.command("build")(build.command)
app.command("split")(split.command)
app.command("show")(show.command)
