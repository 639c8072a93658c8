"""`hpctrain index`: which files belong together, which are bad, and who learns from which."""

from __future__ import annotations

import typer

from hpctrain.cli.index import build, diff, downloads, lists, merge, show, split, verify, windows

app = typer.Typer(
    help="Build, check, split and compare the index of samples.", no_args_is_help=True
)
app.command("build", short_help="Scan a folder, pair its files, find bad ones.")(build.command)
app.command("verify", short_help="Compare the files with the index.")(verify.command)
app.command("split", short_help="Divide samples into train, validation and test.")(split.command)
app.command("windows", short_help="Make a row for each window of each volume.")(windows.command)
app.command("show", short_help="Count or print samples.")(show.command)
app.command("diff", short_help="Say what differs between two indexes.")(diff.command)
app.command("merge", short_help="Join several indexes.")(merge.command)
app.command("import", short_help="Read pairs from text files.")(lists.import_command)
app.command("export", short_help="Write pairs as text files.")(lists.export_command)
app.command("downloads", short_help="List the files to fetch for a query of SAGE's data.")(
    downloads.command
)
