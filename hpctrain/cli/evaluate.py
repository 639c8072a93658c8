"""`hpctrain evaluate`: how good a run's newest checkpoint is on what was held out, as a whole."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.errors import ConfigError
from hpctrain.registry import EVALUATE, EVALUATE_CHOICE, EVALUATE_EMBEDDINGS, resolve

_FIELDS = "members", "fields", "memory_mb"
_EMBEDDINGS = "columns", "neighbours", "folds", "queries", "points", "projection", "attention"
_TAKES = {
    "super_resolution": _FIELDS,
    "field_to_field": _FIELDS,
    "ink": ("memory_mb",),
    "scroll_vae": ("cubes",),
    "vicreg": _EMBEDDINGS,
    "dino": _EMBEDDINGS,
}
"""Options that have an effect, by task."""
_WRITES = {"ink": "segments.json", "scroll_vae": "cubes.json"}
_OPTIONS = {"columns": "--column"}
_STORE = "store.json"
_MEMBERS = 8


class Projection(str, Enum):
    """What places points in the plane."""

    tsne = "tsne"
    umap = "umap"


def command(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="Run directory, or its name in jobs/; or a folder of embeddings."
        ),
    ],
    members: Annotated[
        int | None,
        typer.Option(
            "--members", min=0, help="Of fields: draws of the noise, to see its calibration (8)."
        ),
    ] = None,
    fields: Annotated[
        int | None, typer.Option("--fields", min=1, help="Of fields: only the first so many files.")
    ] = None,
    cubes: Annotated[
        int | None,
        typer.Option(
            "--cubes", min=1, help="Of a VAE: at most so many; default data.validation.samples."
        ),
    ] = None,
    memory_mb: Annotated[
        int | None,
        typer.Option(
            "--memory-mb",
            min=1,
            help="Of fields and ink: for a tile's activations; default 1000 on CPUs.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            help="Of embeddings: column of the index to tell; again for more; default all that "
            "are classes.",
        ),
    ] = None,
    neighbours: Annotated[
        int | None,
        typer.Option("--neighbours", min=1, help="Of embeddings: whose votes count (20)."),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option("--folds", min=2, help="Of embeddings: where the index has no split (5)."),
    ] = None,
    queries: Annotated[
        int | None,
        typer.Option("--queries", min=1, help="Of embeddings: most pairs to look for (20000)."),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option("--points", min=1, help="Of embeddings: most pairs on the page (10000)."),
    ] = None,
    projection: Annotated[
        Projection | None,
        typer.Option(
            help="Of embeddings: what places them in the plane (tsne); umap wants hpctrain[umap]."
        ),
    ] = None,
    attention: Annotated[
        int | None,
        typer.Option(
            "--attention", min=0, help="Of embeddings: pictures whose attention is drawn (6)."
        ),
    ] = None,
) -> None:
    """Evaluate the newest checkpoint on all that was held out, on this machine.

    Of fields: eval/whole.json (errors, correlation, spectra, distance of histograms, divergence and
    calibration by variable and shell) and eval/whole.npz, of which `hpctrain report` draws maps,
    sections and an animation. Of ink: whole segments as `hpctrain predict` puts them together, and
    their held-out part against labels (AUC, F0.5 by threshold, Dice, calibration). Of a VAE:
    held-out cubes, decoded again, beside as many block means. Of pairs: embeddings that `hpctrain
    embed` has written, with numbers, figures and one page to move in (retrieval across modalities,
    classes, clusters, maps), and the evolution over checkpoints.
    """
    given = {
        "members": members,
        "fields": fields,
        "cubes": cubes,
        "memory_mb": memory_mb,
        "columns": columns or None,
        "neighbours": neighbours,
        "folds": folds,
        "queries": queries,
        "points": points,
        "projection": projection and projection.value,
        "attention": attention,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if (run / _STORE).is_file():
        _check("of embeddings", _EMBEDDINGS, options)
        _embeddings(run, options)
        return
    folder = find_run(run)
    task = _task(folder)
    _check(f"of task {task}", _TAKES[task], options)
    if _TAKES[task] == _EMBEDDINGS:
        _embeddings(folder, options)
        return
    if _TAKES[task] == _FIELDS:
        options = {"members": _MEMBERS, "fields": None, **options}
    resolve(EVALUATE[task])(folder, say=typer.echo, **options)
    typer.echo(f"evaluation: {folder / 'eval' / _WRITES.get(task, 'whole.json')}")
    typer.echo(f"next: hpctrain report {folder}")


def _embeddings(folder: Path, options: dict[str, Any]) -> None:
    threads = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
    choice = resolve(EVALUATE_CHOICE, "train,analysis,evaluation")(threads=threads, **options)
    evaluate = resolve(EVALUATE_EMBEDDINGS, "train,analysis,evaluation")
    for path in evaluate(folder, choice, typer.echo):
        typer.echo(f"wrote {path}")


def _task(run: Path) -> str:
    from hpctrain.config.load import read_resolved

    page = run / "config.yaml"
    if not page.is_file():
        raise ConfigError(
            f"{run}: no config.yaml in it; give a run directory that `hpctrain render` wrote"
        )
    task = read_resolved(page).train.task
    if task not in _TAKES:
        raise ConfigError(
            f"{run}: train.task is {task}, which hpctrain evaluate does not know; it is for "
            f"{', '.join(_TAKES)}"
        )
    return task


def _check(what: str, takes: tuple[str, ...], given: dict[str, Any]) -> None:
    for name in given:
        if name not in takes:
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise ConfigError(f"{option}: evaluations {what} have no use for it; leave it out")
