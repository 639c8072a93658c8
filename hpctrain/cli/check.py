"""`hpctrain check`: everything that can be known before a job is queued."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.check_sweep import check_sweep, check_sweep_dir
from hpctrain.cli.job import Overrides, SiteName, load
from hpctrain.cli.run_dir import RUNS, is_run
from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.config.document import Key
    from hpctrain.config.finding import Finding
    from hpctrain.config.layers import Layers


def command(
    job: Annotated[
        str, typer.Argument(metavar="JOB", help="Job file, its name in jobs/, or a run directory.")
    ],
    overrides: Overrides = None,
    site: SiteName = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all run directories.")] = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no scheduler.")] = False,
) -> None:
    """Check a job before it is queued: limits, paths, image, script, and what the scheduler says.

    Exit code 0: it can be queued, there may be warnings; 2: there are errors.
    """
    try:
        run_dir = _run_dir(job, out)
        if run_dir is not None:
            found = _check_run(run_dir, overrides, site, offline)
        else:
            found = _check_job(job, overrides or [], site, out, offline)
    except ConfigError as e:
        if not as_json:
            raise
        found = [_as_finding(line) for line in str(e).splitlines()]
    counts = Counter(finding.severity for finding in found)
    if as_json:
        page = {"job": job, "errors": counts["error"], "warnings": counts["warning"]}
        typer.echo(json.dumps({**page, "findings": [asdict(f) for f in found]}, indent=1))
    else:
        for finding in found:
            typer.echo(str(finding))
        typer.echo(f"{job}: {summary(found)}")
    if counts["error"]:
        raise typer.Exit(ConfigError.exit_code)


def _run_dir(name: str, out: Path) -> Path | None:
    """The run directory that is meant; a bare name means a job file, if there is one."""
    from hpctrain.config.load import find_job

    if not name or is_run(Path(name)):
        return Path(name) if name else None
    try:
        find_job(name, Path.cwd())
    except ConfigError as e:
        if is_run(out / name):
            return out / name
        if Path(name).is_dir():
            advice = "give a job file, or a run directory that `hpctrain render` wrote"
            raise ConfigError(f"{name}: has no manifest.json; {advice}") from e
    return None


def summary(found: Sequence[Finding]) -> str:
    """How many of each kind, in words."""
    counts = Counter(finding.severity for finding in found)
    parts = [
        f"{counts[kind]} {kind}{'s' if counts[kind] > 1 else ''}"
        for kind in ("error", "warning", "note")
        if counts[kind]
    ]
    return ", ".join(parts) or "nothing to complain about"


def _check_job(
    name: str, overrides: list[str], site: str | None, out: Path, is_offline: bool
) -> list[Finding]:
    from hpctrain.preflight import preflight
    from hpctrain.render.draft import macros_place

    resolved = load(name, overrides, site)
    if resolved.job.sweep is not None:
        found = check_sweep(resolved, out, is_offline)
    else:
        found = preflight(
            *(resolved.job, resolved.site, out / resolved.job.name),
            is_rendered=False,
            is_offline=is_offline,
            macros_place=macros_place(resolved.layers),
        )
    return [_placed(finding, resolved.layers) for finding in found]


def _check_run(
    run_dir: Path, overrides: list[str] | None, site: str | None, is_offline: bool
) -> list[Finding]:
    from hpctrain.config.load import read_resolved, read_site
    from hpctrain.preflight import preflight

    if overrides or site:
        raise ConfigError(
            f"{run_dir}: --set and --site have no effect on a run that is rendered; give the job "
            "file, or leave them out"
        )
    if (run_dir / "points").is_dir():
        return check_sweep_dir(run_dir, is_offline)
    job = read_resolved(run_dir / "config.yaml")
    machine, _ = read_site(str(run_dir / "site.yaml"))
    return preflight(job, machine, run_dir, is_offline=is_offline)


def _placed(finding: Finding, layers: Layers) -> Finding:
    """With the line of the job file that decides the value, where there is one."""
    key = tuple(int(part) if part.isdigit() else part for part in finding.where.split("."))
    if key[0] not in layers.value:
        return finding
    return replace(finding, where=f"{_line_of(key, layers)}: {finding.where}")


def _line_of(key: Key, layers: Layers) -> str:
    """`FILE:LINE` of a value; of a block, or a value that is not written, that in the job file."""
    if key in layers.origins and len(key) > 1:
        return layers.source(key)
    document = next(d for d in reversed(layers.documents) if d.lines)
    line = document.line(key) if key[0] in document.value else 0
    if not line:  # a block that only --set or the site's defaults have begun
        inner = next((k for k in layers.origins if k[: len(key)] == key and k != key), None)
        if inner is not None:
            return layers.source(inner)
    return f"{document.where}:{line or 1}"


def _as_finding(line: str) -> Finding:
    from hpctrain.config.finding import error

    where, _, text = line.partition(": ")
    return error(where, text or line)
