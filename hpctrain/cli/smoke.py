"""`hpctrain smoke`: whether the set-up of a job can learn, within a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from hpctrain.cli.job import JobName, Overrides
from hpctrain.cli.render import render_run
from hpctrain.errors import ConfigError

_SHARE = 0.5
_SHARES = {"field_gan": 0.7, "vicreg": 0.8, "dino": 0.8}
"""How far below the yardstick a set-up that can learn comes in a minute."""


def command(
    job: JobName,
    overrides: Overrides = None,
    share: Annotated[
        float | None,
        typer.Option(
            "--share",
            min=0.0,
            help="Share of the yardstick to come below; default 0.5, of field_gan 0.7.",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1.0, help="Time for the steps at most.")
    ] = 60.0,
) -> None:
    """Overfit one sample here, and say whether the set-up can learn.

    The yardstick is trilinear upsampling of the input; at one resolution the input itself, or the
    target's deviation. Of field_gan both networks learn from up to 8 samples, and the histogram of
    made fields is compared with the untrained generator's. Of tasks on scrolls up to 8 windows are
    learned: a VAE's squared error is compared with the variance of the grey values, the loss of ink
    with that of a constant share of ink. Of tasks on pairs up to 16 pairs are learned: the loss of
    vicreg is compared with that of equal embeddings, dino's with that of a uniform answer.
    Nothing is written. Exit code 1 where it does not learn.
    """
    from hpctrain.config.load import read_resolved
    from hpctrain.registry import SMOKE, resolve

    with tempfile.TemporaryDirectory(prefix="hpctrain-smoke-") as folder:
        run = render_run(job, overrides or (), None, None, Path(folder), say=lambda _: None)
        if not (run / "config.yaml").is_file():
            raise ConfigError(f"{job}: is a sweep; hpctrain smoke takes a job of one run")
        task = read_resolved(run / "config.yaml").train.task
        if task not in SMOKE:
            raise ConfigError(
                f"train.task: hpctrain smoke knows no {task}; it is for {', '.join(SMOKE)}"
            )
        share = _SHARES.get(task, _SHARE) if share is None else share
        outcome = resolve(SMOKE[task])(run, share, seconds, typer.echo)
    amount = f"{outcome.ratio:.3g} times {outcome.yardstick}"
    reached = f"{outcome.measure} {amount} after {outcome.steps} steps"
    if outcome.is_learning:
        typer.echo(f"the set-up can learn: {reached}, in {outcome.seconds:.0f} s")
    else:
        goal = share if outcome.goal is None else outcome.goal
        typer.echo(f"the set-up does not learn: {reached}, which should be below {goal:.3g}")
    for line in outcome.advice:
        typer.echo(f"  look at {line}")
    if not outcome.is_learning:
        raise typer.Exit(1)
