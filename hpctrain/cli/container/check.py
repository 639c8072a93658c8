"""`hpctrain container check`: an image against this machine's launcher, MPI and drivers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpctrain.cli.job import Overrides, SiteName
from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from hpctrain.preflight.images.whole import ImageReport


def command(
    image: Annotated[
        str | None, typer.Argument(help="Image; left out: that of the job of --job.")
    ] = None,
    site: SiteName = None,
    job: Annotated[
        str | None, typer.Option("--job", help="Job file: its binds, launcher and GPUs, too.")
    ] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Check an image against the machine: MPI, PMI, libraries, GPU driver, and where it lies.

    Exit code 0: it fits as far as can be known here; 2: there are errors.
    """
    from hpctrain.cli.check import summary

    report = _report(image, job, site, overrides)
    counts = Counter(finding.severity for finding in report.findings)
    if as_json:
        page: dict[str, Any] = {"image": report.image, "site": report.site}
        page |= {"engine": report.engine, "errors": counts["error"], "warnings": counts["warning"]}
        page |= {"in_image": report.in_image, "on_host": report.on_host}
        page["findings"] = [asdict(finding) for finding in report.findings]
        typer.echo(json.dumps(page, indent=1))
    else:
        _show("in the image", report.in_image)
        _show("on this host", report.on_host)
        for finding in report.findings:
            typer.echo(str(finding))
        typer.echo(f"{report.image}: {summary(report.findings)} (site {report.site})")
    if counts["error"]:
        raise typer.Exit(ConfigError.exit_code)


def _report(
    image: str | None, job: str | None, site: str | None, overrides: list[str] | None
) -> ImageReport:
    from pathlib import Path

    from hpctrain.cli.job import load, site_named
    from hpctrain.preflight.images.whole import report_of_job, report_of_site

    if job is None:
        if image is None:
            raise ConfigError("no image: name one, or a job that has one (--job mantle.yaml)")
        if overrides:
            raise ConfigError("--set changes a job, and there is none; give one with --job")
        return report_of_site(image, site_named(site), Path.cwd())
    settings = [*(overrides or []), *([f"container.image={json.dumps(image)}"] if image else [])]
    resolved = load(job, settings, site)
    if resolved.job.container is None:
        raise ConfigError(f"{job}: has no container block; name an image, or add one")
    return report_of_job(resolved.job, resolved.site, Path.cwd())


def _show(title: str, page: dict[str, Any]) -> None:
    texts = (
        f"{name} {' '.join(value) if isinstance(value, list | tuple) else value}"
        for name, value in page.items()
    )
    typer.echo(f"{title}: {', '.join(texts) or 'nothing is known'}")
