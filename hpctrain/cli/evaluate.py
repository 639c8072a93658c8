"""`hpctrain evaluate`: how good whole fields of a run are, or its embeddings of pairs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from hpctrain.cli.run_dir import find_run
from hpctrain.errors import ConfigError
from hpctrain.registry import EVALUATE, EVALUATE_CHOICE, EVALUATE_EMBEDDINGS, resolve

_MEMBERS = 8
_STORE = "store.json"


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
    memory_mb: Annotated[
        int | None,
        typer.Option(
            "--memory-mb", min=1, help="Of fields: for a tile's activations; default 1000 on CPUs."
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
    attention: Annotated[
        int | None,
        typer.Option(
            "--attention", min=0, help="Of embeddings: pictures whose attention is drawn (6)."
        ),
    ] = None,
) -> None:
    """Evaluate the newest checkpoint of a run, on this machine.

    Whole validation fields: writes eval/whole.json (errors, correlation, spectra, distance of
    histograms, divergence and calibration by variable and shell) and eval/whole.npz, of which
    `hpctrain report` draws maps, sections and an animation.

    Embeddings that `hpctrain embed` has written: writes numbers, figures and one page to move in
    (retrieval across modalities, classes, clusters, maps), and the evolution over checkpoints.
    """
    of_fields = {"--members": members, "--fields": fields, "--memory-mb": memory_mb}
    of_embeddings = {
        "--column": columns or None,
        "--neighbours": neighbours,
        "--folds": folds,
        "--queries": queries,
        "--points": points,
        "--attention": attention,
    }
    if (folder := _embedded(run)) is not None:
        _refuse(of_fields, "embeddings are evaluated")
        _embeddings(folder, of_embeddings)
        return
    _refuse(of_embeddings, "whole fields are evaluated")
    folder = find_run(run)
    draws = _MEMBERS if members is None else members
    resolve(EVALUATE)(folder, draws, fields, typer.echo, memory_mb=memory_mb)
    typer.echo(f"evaluation: {folder / 'eval' / 'whole.json'}")
    typer.echo(f"next: hpctrain report {folder}")


def _embedded(place: Path) -> Path | None:
    """The place where it is a store, or a run that learns from pairs."""
    if (place / _STORE).is_file():
        return place
    folder = find_run(place)
    from hpctrain.config.load import read_resolved

    page = folder / "config.yaml"
    is_pairs = page.is_file() and read_resolved(page).data.kind == "pairs"
    return folder if is_pairs else None


def _embeddings(folder: Path, given: dict[str, Any]) -> None:
    names = {"--column": "columns"}
    own = {names.get(n, n[2:]): value for n, value in given.items() if value is not None}
    threads = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
    choice = resolve(EVALUATE_CHOICE, "train,analysis,evaluation")(threads=threads, **own)
    run = resolve(EVALUATE_EMBEDDINGS, "train,analysis,evaluation")
    for path in run(folder, choice, typer.echo):
        typer.echo(f"wrote {path}")


def _refuse(given: dict[str, Any], what: str) -> None:
    for option, value in given.items():
        if value is not None:
            raise ConfigError(f"{option}: has no effect where {what}; leave it out")
