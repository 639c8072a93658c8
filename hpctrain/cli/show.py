"""`hpctrain show`: all values of a job, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from hpctrain.cli.job import JobName, Overrides, SiteName, load

if TYPE_CHECKING:
    from hpctrain.config.layers import Layers

_COLUMN = 44


def command(job: JobName, overrides: Overrides = None, site: SiteName = None) -> None:
    """Print the resolved job as YAML, each value with its source."""
    resolved = load(job, overrides or [], site)
    for line in lines(resolved.job.model_dump(mode="json"), resolved.layers):
        typer.echo(line)


def lines(values: dict[str, Any], layers: Layers, key: tuple[str, ...] = ()) -> Iterator[str]:
    """YAML lines with a comment each: `epochs: 6    # jobs/mantle.yaml:45`."""
    indent = "  " * len(key)
    for name, value in values.items():
        inner = (*key, name)
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from lines(value, layers, inner)
        else:
            yield f"{f'{indent}{name}: {_plain(value)}':{_COLUMN}}  # {layers.source(inner)}"


def _plain(value: Any) -> str:
    from hpctrain.render.yaml_text import yaml_text

    return yaml_text({"x": value}).removeprefix("x:").strip() if value != {} else "{}"
