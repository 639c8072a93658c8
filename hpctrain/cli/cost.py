"""`hpctrain cost`: node-hours and charge of a job before it is queued."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hpctrain.cli.job import JobName, Overrides, SiteName, load


def command(
    job: JobName,
    overrides: Overrides = None,
    site: SiteName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say what a job costs at most: itself, its whole chain, its whole sweep."""
    from hpctrain.config.cost import lines
    from hpctrain.sweep.cost import sweep_cost

    resolved = load(job, overrides or [], site)
    found = sweep_cost(resolved)
    if as_json:
        names = {"job": resolved.job.name, "site": resolved.site.name}
        typer.echo(json.dumps({**names, **found.as_dict()}, indent=1))
    else:
        typer.echo("\n".join(lines(found, resolved.job, resolved.site)))
