"""`hpctrain container render`: the definition of an image."""

from __future__ import annotations

from pathlib import Path

import typer

from hpctrain.cli.job import JobName, Overrides, SiteName


def command(job: JobName, overrides: Overrides = None, site: SiteName = None) -> None:
    """Print the Apptainer definition of the image that a job wants."""
    from hpctrain import __version__
    from hpctrain.cli.job import load
    from hpctrain.render.container import build_files, definition
    from hpctrain.render.inputs import CodeTree, Inputs

    resolved = load(job, overrides or [], site)
    inputs = Inputs(
        run_dir="",
        cwd=str(Path.cwd()),
        python="",
        version=__version__,
        code=CodeTree({}),
        index_csv="",
        index_json="",
        container_files=build_files(),
    )
    typer.echo(definition(resolved.job, resolved.site, inputs), nl=False)
