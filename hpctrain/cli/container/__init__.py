"""`hpctrain container`: images in which the ranks of a job run."""

from __future__ import annotations

import typer

from hpctrain.cli.container import build, check, prune, render, shell

app = typer.Typer(help="Write, build, check and enter images for jobs.", no_args_is_help=True)
app.command("render", short_help="Write the definition of an image.")(render.command)
app.command("build", short_help="Build an image, layer by layer.")(build.command)
app.command("check", short_help="Check an image against this machine.")(check.command)
app.command("shell", short_help="Open a shell in an image.")(shell.command)
app.command("prune", short_help="Remove layers of images that nobody uses.")(prune.command)
