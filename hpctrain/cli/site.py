"""`hpctrain site`: the machine profiles."""

from __future__ import annotations

import typer

app = typer.Typer(help="List and show machine profiles.", no_args_is_help=True)


@app.command("list")
def list_sites() -> None:
    """List all sites; the one that this host belongs to has a star."""
    from hpctrain.cli.job import this_site
    from hpctrain.config.load import read_site, site_names

    here = this_site()
    for name in site_names():
        site, _ = read_site(name)
        typer.echo(f"{'*' if name == here else ' '} {name:16} {site.scheduler:8} {site.title}")


@app.command("show")
def show_site(name: str = typer.Argument(metavar="SITE", help="Name of the site.")) -> None:
    """Print a site's file, to read, or to copy and change."""
    from hpctrain.config.load import read_site
    from hpctrain.config.paths import find_shared

    read_site(name)  # a clear error where it is unknown or wrong
    path = find_shared("templates", f"sites/{name}.yaml")
    if path is not None:
        typer.echo(path.read_text(encoding="utf-8"), nl=False)
