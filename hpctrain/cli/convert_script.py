"""`hpctrain convert` of a batch script: for another scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpctrain.cli.lint import SCHEDULERS, read_script_file
from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.directives.model import SchedulerName


def convert_script(old: Path, to: str, out: Path | None) -> None:
    """Translate a batch script; prints it, or writes it to `out`.

    What has no equivalent is said on stderr, and stays in the script as a comment.

    Raises:
        ConfigError: no batch script, a scheduler that is not known, or `out` is there.
    """
    from hpctrain.directives.convert import convert

    text = read_script_file(old)
    target = _target(to)
    source = _source(text, old, target)
    if out is not None and out.exists():
        raise ConfigError(f"{out}: is there already; remove it, or choose another --out")
    try:
        converted = convert(text, source, target)
    except ConfigError as e:
        raise ConfigError(f"{old}: {e}") from e
    if out is None:
        typer.echo(converted.text, nl=False)
    else:
        _write(out, converted.text, is_executable=target == "cobalt" or old.stat().st_mode & 0o100)
    for note in converted.notes:
        typer.echo(f"hpctrain: {old}: {note}", err=True)
    _say_errors(converted.text, str(out or old), target)


def _target(name: str) -> SchedulerName:
    from hpctrain.directives.read import READERS

    for known in READERS:
        if name == known:
            return known
    raise ConfigError(f"--to: found {name!r}; choose from {', '.join(SCHEDULERS)}")


def _source(text: str, old: Path, target: SchedulerName) -> SchedulerName:
    from hpctrain.directives import find_schedulers

    found = find_schedulers(text)
    if not found:
        raise ConfigError(
            f"{old}: has no directives; allowed: lines that start with #PBS, #SBATCH or #COBALT"
        )
    # a script for two schedulers: the other one is meant
    return next((name for name in found if name != target), found[0])


def _write(out: Path, text: str, *, is_executable: object) -> None:
    is_begun = False
    try:
        with out.open("x", encoding="utf-8") as file:
            is_begun = True
            file.write(text)
        if is_executable:
            out.chmod(out.stat().st_mode | 0o111)
    except OSError as e:
        if is_begun:  # a full disk: half a script is worse than none
            out.unlink(missing_ok=True)
        raise ConfigError(f"{out}: {e.strerror}; allowed: a file in a folder that is there") from e


def _say_errors(text: str, name: str, target: SchedulerName) -> None:
    """Faults of the old script that are in the new one, too."""
    from hpctrain.lint import lint_text

    for finding in lint_text(text, name, target):
        if finding.severity == "error":
            typer.echo(f"hpctrain: left from the old script: {finding}", err=True)
