"""`hpctrain lint`: what is wrong in a batch script, also in one written by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.job import site_named
from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.lint import Finding

SCHEDULERS = ("pbs", "slurm", "cobalt")


def command(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Batch scripts.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", help="pbs, slurm or cobalt; left out: whose directives a script has."
        ),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option("--site", help="Machine whose rules count, too: name or YAML file."),
    ] = None,
    select: Annotated[
        str | None, typer.Option("--select", metavar="CODES", help="Only these, as HT001,HT04.")
    ] = None,
    ignore: Annotated[
        str | None, typer.Option("--ignore", metavar="CODES", help="All but these.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List all rules instead.")] = False,
) -> None:
    """Find what a scheduler would ignore, refuse or misread in batch scripts.

    Exit code 0: nothing, or warnings only; 2: errors. docs/reference/lint has a page a code.
    """
    if rules:
        if files:
            raise ConfigError("--rules: reads no FILE; leave one of them out")
        _print_rules(as_json)
        return
    if not files:
        raise ConfigError("found no FILE; allowed: one batch script or more")
    if scheduler is not None and scheduler not in SCHEDULERS:
        raise ConfigError(f"--scheduler: found {scheduler!r}; choose from {', '.join(SCHEDULERS)}")
    findings = _find(files, scheduler, site, _codes(select), _codes(ignore))
    if as_json:
        _print_json(findings)
    else:
        for finding in findings:
            typer.echo(str(finding))
        if not findings:
            scripts = "1 script" if len(files) == 1 else f"{len(files)} scripts"
            typer.echo(f"{scripts}: nothing to complain about")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(ConfigError.exit_code)


def _codes(text: str | None) -> list[str]:
    return [] if text is None else [word.strip() for word in text.split(",")]


def _find(
    files: list[Path],
    scheduler: str | None,
    site_name: str | None,
    select: list[str],
    ignore: list[str],
) -> list[Finding]:
    from hpctrain.lint import keep_codes, lint_text

    site = None if site_name is None else site_named(site_name)
    texts = [(path, read_script_file(path)) for path in files]
    if scheduler is None and site is None:
        _note_bare(texts)
    findings = [
        finding
        for path, text in texts
        for finding in lint_text(
            text, str(path), scheduler, site, os.access(path, os.X_OK), has_folder
        )
    ]
    return keep_codes(findings, select, ignore)


def _note_bare(texts: list[tuple[Path, str]]) -> None:
    """Say which scripts were not compared with any scheduler: silence would pass for praise."""
    from hpctrain.directives import find_schedulers

    for path, text in texts:
        if not find_schedulers(text):
            typer.echo(
                f"note: {path}: has no #PBS, #SBATCH or #COBALT line, so only the shell part was "
                "looked at; --scheduler tells who reads it",
                err=True,
            )


def read_script_file(path: Path) -> str:
    """A script's text with its line ends as they are.

    Raises:
        ConfigError: it is not there, or no text.
    """
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise ConfigError(f"{path}: {reason}; allowed: a batch script") from e
    if b"\0" in raw:
        raise ConfigError(f"{path}: is no text; allowed: a batch script")
    if not raw.strip():
        raise ConfigError(f"{path}: is empty; allowed: a batch script")
    return raw.decode("utf-8", errors="replace")


def has_folder(folder: str) -> bool:
    """Whether a folder is there, or lies on a file system that only other machines have."""
    path = Path(folder)
    if path.is_absolute() and len(path.parts) > 1 and not Path(*path.parts[:2]).exists():
        return True
    return path.is_dir()


def _print_json(findings: list[Finding]) -> None:
    import json

    rows = [
        {
            "file": finding.name,
            "line": finding.line,
            "code": finding.code,
            "severity": finding.severity,
            "text": finding.text,
        }
        for finding in findings
    ]
    typer.echo(json.dumps(rows, indent=1))


def _print_rules(as_json: bool) -> None:
    import json

    from hpctrain.lint import RULES

    if as_json:
        names = ("code", "severity", "schedulers", "title")
        rows = [{name: getattr(rule, name) for name in names} for rule in RULES]
        typer.echo(json.dumps(rows, indent=1))
        return
    for rule in RULES:
        typer.echo(f"{rule.code}  {rule.severity:7}  {rule.schedulers:17}  {rule.title}")
