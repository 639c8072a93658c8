"""`hpctrain template`: run scripts of one's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hpctrain.config.load import Resolved

app = typer.Typer(help="Write, list and show templates of run scripts.", no_args_is_help=True)


@app.command("new")
def new_template(
    name: Annotated[str, typer.Argument(metavar="NAME", help="File name, such as my.pbs.")],
    base: Annotated[
        str | None,
        typer.Option("--from", help="Scheduler: pbs, slurm, cobalt, local; default: by suffix."),
    ] = None,
) -> None:
    """Write a commented template into your own folder, to start from."""
    from hpctrain.errors import ConfigError
    from hpctrain.render.new_template import SCHEDULERS, base_of, write_template

    scheduler = base or base_of(name)
    if scheduler not in SCHEDULERS:
        known = ", ".join(SCHEDULERS)
        raise ConfigError(f"--from: unknown scheduler {scheduler!r}; choose from {known}")
    path = write_template(name, scheduler)
    typer.echo(f"{path}: written; every block is explained in it")
    typer.echo(f"next: hpctrain render JOB --set launch.template={name}")


@app.command("list")
def list_templates() -> None:
    """List all templates and where each comes from; the first of a name is taken."""
    from hpctrain.render.new_template import templates

    found = templates()
    width = max((len(name) for name, _, _ in found), default=0)
    for name, path, is_hidden in found:
        typer.echo(f"{name:{width}}  {path}{'  (another one comes first)' if is_hidden else ''}")


@app.command("show")
def show_template(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name in `template list`: schedulers/pbs.sh.j2.")
    ],
) -> None:
    """Print a template."""
    from hpctrain.config.paths import find_shared
    from hpctrain.errors import ConfigError
    from hpctrain.render.new_template import SCHEDULERS, templates
    from hpctrain.render.undefined import nearest

    names = [known for known, _, _ in templates()]
    path = find_shared("templates", name) if name in names else None
    if path is None:
        path = find_shared("templates", f"schedulers/{name}.sh.j2")
    if path is None:
        hint = nearest(name, [*SCHEDULERS, *names])
        raise ConfigError(
            f"template {name!r}: no such template{hint}; `hpctrain template list` names all"
        )
    typer.echo(path.read_text(encoding="utf-8"), nl=False)


@app.command("vars")
def template_variables(
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="Job whose values are shown.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the job."),
    ] = None,
    site: Annotated[str | None, typer.Option("--site", help="Machine, as for render.")] = None,
) -> None:
    """Print every name that a template may use: type and meaning, and its value for a job."""
    from hpctrain.cli.job import load
    from hpctrain.render.variables import BLOCKS, FILTERS, VARIABLES

    values = _values(load(job, overrides or [], site)) if job is not None else {}
    for name, (kind, meaning) in VARIABLES.items():
        typer.echo(f"{name}: {kind}: {meaning}")
        for line in _lines(name, values[name]) if name in values else ():
            typer.echo(f"    {line}")
    typer.echo("\nfilters")
    typer.echo("\n".join(f"    {name}: {text}" for name, text in FILTERS.items()))
    typer.echo("\nblocks")
    typer.echo("\n".join(f"    {name}: {text}" for name, text in BLOCKS.items()))


def _values(resolved: Resolved) -> dict[str, Any]:
    """The context of a job, as `render` here would have it."""
    from hpctrain.render.draft import draft_inputs, macros_place
    from hpctrain.render.script import context
    from hpctrain.render.texts import with_absolute_paths

    job, cwd = resolved.job, Path.cwd()
    place, python = macros_place(resolved.layers), os.path.abspath(sys.executable)
    inputs = draft_inputs(job, Path("jobs") / job.name, cwd, python, place)
    return context(with_absolute_paths(job, cwd), resolved.site, inputs)


def _lines(name: str, value: Any) -> Iterator[str]:
    """`name.key = value` for each value of a block; lists line by line."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        # as a template sees it: a dump would turn walltimes into texts
        value = {key: getattr(value, key) for key in type(value).model_fields}
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _lines(f"{name}.{key}", inner)
    else:
        yield f"{name} = {value!r}"
