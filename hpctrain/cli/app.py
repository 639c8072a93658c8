"""The `hpctrain` program: its sub-commands, its errors, its exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.core import TyperGroup

from hpctrain import __version__
from hpctrain.cli import (
    cancel,
    check,
    container,
    convert,
    cost,
    doctor,
    embed,
    evaluate,
    export,
    generate,
    import_map2map,
    index,
    init,
    lint,
    logs,
    models,
    predict,
    profile,
    render,
    report,
    reproduce,
    sample,
    scale,
    schema,
    show,
    site,
    smoke,
    status,
    study,
    submit,
    table,
    template,
    trace,
    verify,
    why,
)
from hpctrain.errors import HpctrainError

_ORDER = (
    *("init", "sample", "index", "convert", "import-map2map", "models"),
    *("show", "check", "lint", "cost", "smoke", "render", "submit", "scale", "study"),
    *("status", "why", "logs", "cancel", "hold", "release"),
    *("verify", "trace", "export", "reproduce"),
    *("predict", "generate", "embed", "evaluate", "report", "profile", "table"),
    *("schema", "site", "doctor", "template", "container"),
)
"""Commands as they are listed: those of the data, before a run, while it runs, afterwards."""


class _InOrder(TyperGroup):
    """Lists groups among the other commands; typer puts them last."""

    def list_commands(self, ctx: object) -> list[str]:
        return [name for name in _ORDER if name in self.commands]


app = typer.Typer(
    cls=_InOrder,
    name="hpctrain",
    help="From one YAML file to a trained model on any batch machine.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("init")(init.command)
app.add_typer(sample.app, name="sample")
app.command("show", short_help="Print the resolved job, each value with its source.")(show.command)
app.command("check", short_help="Check a job before it is queued.")(check.command)
app.command("lint", short_help="Check a batch script, also one written by hand.")(lint.command)
app.command("cost", short_help="Say what a job costs.")(cost.command)
app.command("convert", short_help="Convert data for training, or a batch script.")(convert.command)
app.command("import-map2map", short_help="Write a job file from map2map's command line.")(
    import_map2map.command
)
app.command("render")(render.command)
app.command("submit", short_help="Render a job, check it and hand it in.")(submit.command)
app.command("scale", short_help="Measure how a job scales over nodes.")(scale.command)
app.command("study", short_help="Answer a question about a training by runs.")(study.command)
app.command("status", short_help="Show every run, its state and its progress.")(status.command)
app.command("why", short_help="Say why a run waits or failed, and what to do.")(why.command)
app.command("logs", short_help="Show what a run prints.")(logs.command)
app.command("cancel", short_help="End the jobs of runs.")(cancel.cancel)
app.command("hold", short_help="Keep waiting jobs from starting.")(cancel.hold)
app.command("release", short_help="Let held jobs start.")(cancel.release)
app.command("verify", short_help="Say what was edited since rendering.")(verify.command)
app.command("trace", short_help="Say what a file was made from, and what changed.")(trace.command)
app.command("export", short_help="Write a run as one file to hand over.")(export.command)
app.command("reproduce", short_help="Render the job of an exported run again.")(reproduce.command)
app.command("predict", short_help="Predict whole fields with a run's network.")(predict.command)
app.command("generate", short_help="Make fields out of noise.")(generate.command)
app.command("report", short_help="Write one HTML page about a run.")(report.command)
app.command("profile", short_help="Say where the time of a run's steps goes.")(profile.command)
app.command("smoke", short_help="Say within a minute whether a job can learn.")(smoke.command)
app.command("embed", short_help="Turn all pictures of a run into vectors.")(embed.command)
app.command("evaluate", short_help="Say how good a run's fields or embeddings are.")(
    evaluate.command
)
app.command("models", short_help="Show what networks need and cost.")(models.command)
app.command("table", short_help="Show the points of a sweep in one table.")(table.command)
app.command("schema")(schema.command)
app.command("doctor", short_help="Examine this machine: MPI, GPUs, speeds, limits.")(doctor.command)
app.add_typer(index.app, name="index")
app.add_typer(site.app, name="site")
app.add_typer(template.app, name="template")
app.add_typer(container.app, name="container")


def _version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"hpctrain {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """From one YAML file to a trained model on any batch machine."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0, or the exit code of the error (see hpctrain.errors)."""
    words = list(sys.argv[1:] if argv is None else argv)
    is_debug = "--debug" in words
    if is_debug:
        # People add it to the end of the line that failed; typer wants it in front.
        words = ["--debug", *(word for word in words if word != "--debug")]
    try:
        app(words, prog_name="hpctrain")
    except HpctrainError as e:
        if is_debug:
            raise
        print("\n".join(f"hpctrain: {line}" for line in str(e).splitlines()), file=sys.stderr)
        sys.exit(e.exit_code)
    except BrokenPipeError:
        # `hpctrain schema | head`: the reader has gone, and the interpreter must not flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as e:
        if is_debug:
            raise
        where = f"{e.filename}: " if e.filename else ""
        print(f"hpctrain: {where}{e.strerror or e} (--debug shows where)", file=sys.stderr)
        sys.exit(HpctrainError.exit_code)
