"""`hpctrain smoke`: whether the set-up of a job can learn, within a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.job import JobName, Overrides
from hpctrain.cli.render import render_run
from hpctrain.errors import ConfigError


def command(
    job: JobName,
    overrides: Overrides = None,
    share: Annotated[
        float,
        typer.Option("--share", min=0.0, help="Share of the yardstick's RMSE to come below."),
    ] = 0.5,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1.0, help="Time for the steps at most.")
    ] = 60.0,
) -> None:
    """Overfit one sample here, and say whether the set-up can learn.

    The yardstick is trilinear upsampling of the input; at one resolution the input itself, or the
    target's deviation. Nothing is written. Exit code 1 where it does not learn.
    """
    from hpctrain.registry import SMOKE, resolve

    smoke = resolve(SMOKE)
    with tempfile.TemporaryDirectory(prefix="hpctrain-smoke-") as folder:
        run = render_run(job, overrides or (), None, None, Path(folder), say=lambda _: None)
        if not (run / "config.yaml").is_file():
            raise ConfigError(f"{job}: is a sweep; hpctrain smoke takes a job of one run")
        outcome = smoke(run, share, seconds, typer.echo)
    reached = f"{outcome.ratio:.3g} times {outcome.yardstick} after {outcome.steps} steps"
    if outcome.is_learning:
        typer.echo(f"the set-up can learn: RMSE {reached}, in {outcome.seconds:.0f} s")
    else:
        typer.echo(f"the set-up does not learn: RMSE {reached}, which should be below {share:g}")
    for line in outcome.advice:
        typer.echo(f"  look at {line}")
    if not outcome.is_learning:
        raise typer.Exit(1)
