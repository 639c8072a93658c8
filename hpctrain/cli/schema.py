"""`hpctrain schema`: the job file's JSON schema, for editors and for reading."""

from __future__ import annotations

import json

import typer


def command() -> None:
    """Print the JSON schema of job files."""
    typer.echo(schema_text(), nl=False)


def schema_text() -> str:
    """The schema as JSON text."""
    from hpctrain.config.job import Job

    return json.dumps(Job.model_json_schema(), indent=1) + "\n"
