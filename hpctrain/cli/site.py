"""`hpctrain site`: the machine profiles."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hpctrain.config.site import Site
    from hpctrain.schedulers.machine import Machine

app = typer.Typer(help="List, show, begin and check machine profiles.", no_args_is_help=True)

SiteArgument = Annotated[
    str, typer.Argument(metavar="SITE", help="Name of the site, or a YAML file.")
]


@app.command("list")
def list_sites() -> None:
    """List all sites; the one that this host belongs to has a star."""
    from hpctrain.cli.job import this_site
    from hpctrain.config.load import read_site, site_names
    from hpctrain.errors import ConfigError

    try:
        here = this_site()
    except ConfigError:
        here = ""  # a wrong file is in the way; the list says which
    for name in site_names():
        try:
            site, _ = read_site(name)
            text = f"{site.scheduler:8} {site.title}{_origin(name)}"
        except ConfigError as e:
            text = f"wrong: {str(e).splitlines()[0]}"
        typer.echo(f"{'*' if name == here else ' '} {name:16} {text}")


def _origin(name: str) -> str:
    """Where a site of the user's own is; nothing for a shipped one."""
    from hpctrain.config.paths import find_shared, user_dir

    path = find_shared("templates", f"sites/{name}.yaml")
    own = user_dir("templates")
    return f"  ({path})" if path and own and path.is_relative_to(own) else ""


@app.command("show")
def show_site(name: SiteArgument) -> None:
    """Print a site's file, to read, or to copy and change."""
    from hpctrain.config.load import read_site

    _, document = read_site(name)  # a clear error where it is unknown or wrong
    typer.echo(Path(document.where).read_text(encoding="utf-8"), nl=False)


@app.command("new")
def new_site(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new site.")],
    base: Annotated[
        str | None,
        typer.Option("--from", metavar="SITE", help="Site to start from; default: a generic one."),
    ] = None,
) -> None:
    """Begin a site file of one's own, filled with what the scheduler of this host says."""
    from datetime import datetime, timezone

    from hpctrain.schedulers.new_site import site_text

    start, text = _base(base)
    machine = _ask(start.scheduler)
    today = datetime.now(timezone.utc).date().isoformat()
    target = _write_site(name, site_text(text, name, socket.gethostname(), machine, today))
    typer.echo(f"{target}: written; look it over, then use it as `site: {name}`")
    typer.echo(f"next: hpctrain site check {name}")


def _base(name: str | None) -> tuple[Site, str]:
    """The site to start from, and the text of its file."""
    import shutil

    from hpctrain.config.load import read_site
    from hpctrain.schedulers import SCHEDULERS

    if name is None:
        name = next(s.generic_site for s in SCHEDULERS if s.is_here(shutil.which))
    site, document = read_site(name)
    return site, Path(document.where).read_text(encoding="utf-8")


def _ask(scheduler: str) -> Machine | None:
    """What the scheduler of this host says; a note where it says nothing."""
    from hpctrain.errors import SchedulerError
    from hpctrain.schedulers.machine import ask_machine

    try:
        return ask_machine(scheduler)
    except SchedulerError as e:
        typer.echo(f"note: the machine was not asked: {e}", err=True)
        return None


def _write_site(name: str, text: str) -> Path:
    """Write a site file into the user's folder, never over another.

    Raises:
        ConfigError: the site would be wrong, or there is one of that name.
    """
    from hpctrain.config.document import parse
    from hpctrain.config.layers import Layers
    from hpctrain.config.paths import user_dir
    from hpctrain.config.site import Site
    from hpctrain.errors import ConfigError, RenderError

    layers = Layers()
    layers.add(parse(text, "site new"))
    layers.validate(Site)
    folder = user_dir("templates")
    if folder is None:
        raise ConfigError("XDG_CONFIG_HOME: is no absolute path; set it to your settings' folder")
    target, is_begun = folder / "sites" / f"{name}.yaml", False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            is_begun = True
            file.write(text)
    except FileExistsError as e:
        raise ConfigError(f"{target}: exists; give another name, or remove it") from e
    except OSError as e:
        if is_begun:  # a full disk: an empty site would be in the way of the next try
            target.unlink(missing_ok=True)
        raise RenderError(f"{target}: cannot be written: {e.strerror}") from e
    return target


@app.command("check")
def check_site(name: SiteArgument) -> None:
    """Check a site's file: its form, the age of its facts, and what the machine says.

    Ends with 2 where the file is wrong or differs from the machine.
    """
    from datetime import datetime, timezone

    from hpctrain.config.load import read_site
    from hpctrain.schedulers.compare_site import closed_notes, date_notes, differences

    site, document = read_site(name)
    for note in date_notes(site, datetime.now(timezone.utc).date()):
        typer.echo(f"note: {note}")
    machine = _ask(site.scheduler) if _is_here(site) else None
    found = differences(site, machine) if machine else []
    for note in closed_notes(site, machine) if machine else []:
        typer.echo(f"note: {note}")
    for difference in found:
        typer.echo(f"difference: {difference}")
    compared = f"{machine.commands}: {_count(found)}" if machine else "not compared with a machine"
    typer.echo(f"{document.where}: a valid site; {compared}")
    if found:
        raise typer.Exit(2)


def _count(found: list[str]) -> str:
    return f"{len(found) or 'no'} difference{'' if len(found) == 1 else 's'}"


def _is_here(site: Site) -> bool:
    """Whether this host may be asked about a site: it is one of its hosts, or no host is named."""
    from fnmatch import fnmatchcase

    names = (socket.gethostname(), socket.getfqdn())
    if not site.hostnames or any(fnmatchcase(n, glob) for glob in site.hostnames for n in names):
        return site.scheduler != "local"
    typer.echo(f"note: {names[0]} is none of the site's hosts, so its scheduler was not asked")
    return False
