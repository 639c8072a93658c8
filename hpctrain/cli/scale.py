"""`hpctrain scale`: the same training on 1, 2, 4, ... nodes, then a table and a plot."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer

from hpctrain.cli.job import Overrides, SiteName, load
from hpctrain.cli.run_dir import RUNS
from hpctrain.cli.sweep import render_sweep, start_line
from hpctrain.cli.table import aligned
from hpctrain.errors import ConfigError, TrainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpctrain.sweep.scaling import Study

PLOT = "hpctrain.analysis.scaling:write_plot"


def command(
    target: Annotated[
        str, typer.Argument(metavar="JOB", help="Job file; or the study, to see its results.")
    ],
    nodes: Annotated[
        str | None, typer.Option("--nodes", metavar="N,N,...", help="Numbers of nodes.")
    ] = None,
    ranks: Annotated[
        str | None, typer.Option("--ranks", metavar="N,N,...", help="Numbers of ranks per node.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="weak (default): the batch grows with the ranks; strong: not."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", help="Learning rate by batch: linear (default), sqrt, none."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Epochs of each run; default the job's.")
    ] = None,
    overrides: Overrides = None,
    site: SiteName = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all run directories.")] = RUNS,
    run: Annotated[
        bool, typer.Option("--run", help="Run them here, one after another (site local).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Results as JSON.")] = False,
) -> None:
    """Measure how a training scales: render a run for each size, then show speed and efficiency."""
    if nodes is None and ranks is None:
        if any((mode, rate, overrides, site, run, epochs)):
            raise ConfigError("scale: needs --nodes 1,2,4 or --ranks 1,2 to make a study")
        _report(_study_folder(target, out), as_json)
        return
    if as_json and not run:
        raise ConfigError("--json: prints results, and there are none yet; add --run, or leave it")
    study = _study(nodes, ranks, mode or "weak", rate or "linear", epochs)
    say = partial(typer.echo, err=as_json)  # standard output is for the JSON alone
    folder = _render(target, study, overrides or [], site, say, out=out, is_to_run=run)
    if run:
        _run(folder, sys.stderr if as_json else None)
        _report(folder, as_json)
        return
    typer.echo(f"next: {start_line(folder)}")
    typer.echo(f"then: hpctrain scale {folder}")


def _study(nodes: str | None, ranks: str | None, mode: str, rate: str, epochs: int | None) -> Study:
    from hpctrain.sweep.scaling import RULES, Mode, Rule, Study

    if nodes is not None and ranks is not None:
        raise ConfigError("--nodes and --ranks exclude each other; give one of them")
    if mode not in ("weak", "strong"):
        raise ConfigError(f"--mode: found {mode!r}; choose from weak, strong")
    if rate not in RULES:
        raise ConfigError(f"--rate: found {rate!r}; choose from {', '.join(RULES)}")
    key, option, text = (
        ("nodes", "--nodes", nodes) if nodes is not None else ("ranks_per_node", "--ranks", ranks)
    )
    counts = tuple(sorted(_counts(option, text or "")))
    return Study(f"resources.{key}", counts, cast("Mode", mode), cast("Rule", rate), epochs)


def _counts(option: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"{option}: found {text!r}; allowed: whole numbers, such as 1,2,4,8")
    if len(set(map(int, parts))) != len(parts):
        raise ConfigError(f"{option}: found {text!r}, which names a number twice; give each once")
    return [int(part) for part in parts]


def _render(
    target: str,
    study: Study,
    overrides: list[str],
    site: str | None,
    say: Callable[[str], None],
    *,
    out: Path,
    is_to_run: bool,
) -> Path:
    from hpctrain.sweep.scaling import RULES, STUDY, study_text, with_study

    resolved = load(target, overrides, site)
    if is_to_run and resolved.site.scheduler != "local":
        raise ConfigError(
            f"--run: starts the runs on this machine, and site {resolved.site.name} has a "
            "scheduler; leave it out"
        )
    own = with_study(resolved, study)
    extra = {STUDY: study_text(resolved.job, study)}
    folder = render_sweep(own, out, say, extra)
    rule = RULES[study.rule] if study.mode == "weak" else "batch and learning rate as they are"
    say(f"{study.mode} scaling over {study.key.split('.')[1]}: {rule}")
    return folder


def _run(folder: Path, output: TextIO | None) -> None:
    """Run all points here; what they print goes to `output`, or where this program's goes.

    Raises:
        TrainError: one of them failed, or was stopped.
    """
    done = subprocess.run([str(folder.resolve() / "run.sh")], stdout=output, check=False)
    if done.returncode:
        raise TrainError(
            f"{folder}: the runs ended with exit code {done.returncode}; see hpctrain table "
            f"{folder}, and start it again with {folder}/run.sh"
        )


def _study_folder(target: str, out: Path) -> Path:
    for folder in (Path(target), out / target):
        if target and folder.is_dir():
            return folder
    raise ConfigError(
        f"scale: {target!r} is no study; give --nodes 1,2,4 (or --ranks 1,2) to make one of a job"
    )


def _report(folder: Path, as_json: bool) -> None:
    from hpctrain.registry import resolve
    from hpctrain.sweep.scaling import measure, read_study

    rows, study = measure(folder), read_study(folder)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        typer.echo(aligned(rows))
    title = f"{folder.resolve().name}: {study.get('mode')} scaling; {study.get('rule_text')}"
    plot: Any = resolve(PLOT)
    path = plot(rows, folder / "scaling.png", title)
    typer.echo(f"plot: {path} and {path.with_suffix('.svg').name}", err=as_json)
