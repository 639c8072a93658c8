"""`hpctrain evaluate`: how good a run's newest checkpoint is on what was held out, as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.errors import ConfigError
from hpctrain.registry import EVALUATE, resolve

_FIELDS = "members", "fields", "memory_mb"
_TAKES = {
    "super_resolution": _FIELDS,
    "field_to_field": _FIELDS,
    "ink": ("memory_mb",),
    "scroll_vae": ("cubes",),
}
"""Options that have an effect, by task."""
_WRITES = {"ink": "segments.json", "scroll_vae": "cubes.json"}
_MEMBERS = 8


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory, or its name in jobs/.")
    ],
    members: Annotated[
        int | None,
        typer.Option(
            "--members", min=0, help="Draws of the noise, to see its calibration; default 8."
        ),
    ] = None,
    fields: Annotated[
        int | None, typer.Option("--fields", min=1, help="Only the first so many files.")
    ] = None,
    cubes: Annotated[
        int | None,
        typer.Option(
            "--cubes", min=1, help="Of a VAE: at most so many; default data.validation.samples."
        ),
    ] = None,
    memory_mb: Annotated[
        int | None,
        typer.Option("--memory-mb", min=1, help="For a tile's activations; default 1000 on CPUs."),
    ] = None,
) -> None:
    """Evaluate the newest checkpoint on all that was held out, on this machine.

    Of fields: eval/whole.json (errors, correlation, spectra, distance of histograms, divergence and
    calibration by variable and shell) and eval/whole.npz, of which `hpctrain report` draws maps,
    sections and an animation. Of ink: whole segments as `hpctrain predict` puts them together, and
    their held-out part against labels (AUC, F0.5 by threshold, Dice, calibration). Of a VAE:
    held-out cubes, decoded again, beside as many block means.
    """
    folder = find_run(run)
    task = _task(folder)
    given = {"members": members, "fields": fields, "cubes": cubes, "memory_mb": memory_mb}
    _check(task, given)
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if _TAKES[task] == _FIELDS:
        options = {"members": _MEMBERS, "fields": None, **options}
    resolve(EVALUATE[task])(folder, say=typer.echo, **options)
    typer.echo(f"evaluation: {folder / 'eval' / _WRITES.get(task, 'whole.json')}")
    typer.echo(f"next: hpctrain report {folder}")


def _task(run: Path) -> str:
    from hpctrain.config.load import read_resolved

    page = run / "config.yaml"
    if not page.is_file():
        raise ConfigError(
            f"{run}: no config.yaml in it; give a run directory that `hpctrain render` wrote"
        )
    task = read_resolved(page).train.task
    if task not in EVALUATE:
        raise ConfigError(
            f"{run}: train.task is {task}, which hpctrain evaluate does not know; it is for "
            f"{', '.join(EVALUATE)}"
        )
    return task


def _check(task: str, given: dict[str, int | None]) -> None:
    for name, value in given.items():
        if value is not None and name not in _TAKES[task]:
            raise ConfigError(
                f"--{name.replace('_', '-')}: evaluations of task {task} have no use for it; leave "
                "it out"
            )
