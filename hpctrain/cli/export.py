"""`hpctrain export`: a run to hand over."""

from __future__ import annotations

import re
import shlex
import subprocess
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.crate.content import Member
    from hpctrain.crate.facts import Author


class Checkpoints(str, Enum):
    """Which checkpoints go in."""

    all = "all"
    last = "last"
    none = "none"


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    is_crate: Annotated[
        bool, typer.Option("--ro-crate", help="As a Workflow Run RO-Crate, the one form there is.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A file .zip or a folder; default RUN.crate.zip here."),
    ] = None,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Take the input files in.")
    ] = False,
    with_checkpoints: Annotated[
        Checkpoints, typer.Option("--with-checkpoints", help="Which checkpoints go in.")
    ] = Checkpoints.last,
    licence: Annotated[
        str | None,
        typer.Option("--licence", "--license", help="URL or words; without it, none is stated."),
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", help="Name of who hands it over.")
    ] = None,
    orcid: Annotated[str | None, typer.Option("--orcid", help="The author's ORCID.")] = None,
    git_author: Annotated[
        bool, typer.Option("--git-author", help="Name and mail address as in git's settings.")
    ] = False,
) -> None:
    """Write a run as one file to hand over: job, code, index, results, and what ran where.

    Input files are referred to with size and sha256 unless --with-data takes them in. Nobody is
    named unless you say so.
    """
    if not is_crate:
        raise ConfigError("export: say as what; there is --ro-crate")
    from hpctrain.crate import Options, export

    folder = find_run(run)
    target = out or Path(f"{folder.resolve().name}.crate.zip")
    options = Options(
        has_data=with_data,
        checkpoints=with_checkpoints.value,
        licence=licence,
        author=_author(author, orcid, git_author),
    )
    members = export(folder, target, options, lambda line: typer.echo(line, err=True))
    typer.echo(f"{target}: {_summary(members)}")
    words = ["hpctrain", "reproduce", str(target)]
    typer.echo(f"next: {shlex.join(words)}{'' if with_data else ' --data-root FOLDER'}")


def _summary(members: list[Member]) -> str:
    size = sum(member.size for member in members)
    kinds = {
        name: sum(m.kind == kind for m in members)
        for kind, name in (
            ("checkpoint", "checkpoints"),
            ("result", "results"),
            ("input", "inputs"),
        )
    }
    parts = ", ".join(f"{count} {name}" for name, count in kinds.items() if count)
    return f"{len(members)} files, {size / 1e6:.1f} MB" + (f", of these {parts}" if parts else "")


def _author(name: str | None, orcid: str | None, is_from_git: bool) -> Author | None:
    from hpctrain.crate.facts import Author

    email = None
    if is_from_git:
        name, email = name or _git("user.name"), _git("user.email")
        if not name:
            raise ConfigError("--git-author: git knows no user.name; give --author NAME")
    if orcid is not None:
        if name is None:
            raise ConfigError("--orcid: belongs to an author; add --author NAME")
        orcid = f"https://orcid.org/{_orcid(orcid.removeprefix('https://orcid.org/'))}"
    return Author(name, orcid, email) if name else None


def _orcid(text: str) -> str:
    """Four groups of four digits, of which the last is a check digit (ISO 7064 11,2)."""
    total = 0
    for char in text.replace("-", "")[:15]:
        total = (total + int(char) if char in "0123456789" else 0) * 2
    last = "0123456789X"[(12 - total % 11) % 11]
    if not re.fullmatch(r"([0-9]{4}-){3}[0-9]{3}[0-9X]", text) or text[-1] != last:
        raise ConfigError(
            f"--orcid: {text!r} is no ORCID; it has four groups of four digits, the last of which "
            "is a check digit: look for a mistake in typing"
        )
    return text


def _git(key: str) -> str | None:
    try:
        done = subprocess.run(["git", "config", key], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
