"""`hpctrain study`: a question about a training, the runs that answer it, a table and a plot."""

from __future__ import annotations

import json
import shlex
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from hpctrain.cli.job import Overrides, SiteName, load
from hpctrain.cli.run_dir import RUNS
from hpctrain.cli.sweep import render_sweep, start_line
from hpctrain.cli.table import aligned
from hpctrain.errors import EXIT_STOPPED, ConfigError, TrainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpctrain.config.load import Resolved
    from hpctrain.study.make import Options
    from hpctrain.study.record import Clock


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The question; none: list them.")
    ] = None,
    target: Annotated[
        str | None, typer.Argument(metavar="JOB", help="Job file; or a study, to see its answer.")
    ] = None,
    values: Annotated[
        str | None,
        typer.Option("--values", metavar="V,V,...", help="What to compare; rate: LOW,HIGH."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, max=100, help="Runs of each; default 2.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Epochs of each run; default the job's.")
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", help="batch: rate by batch: none (default), sqrt, linear."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Compare by another number of the validation.")
    ] = None,
    clock: Annotated[
        str | None,
        typer.Option("--clock", help="Equal time by: wall (default), or cpu on a busy machine."),
    ] = None,
    ranks: Annotated[
        int | None, typer.Option("--ranks", min=1, help="Ranks per node; default the job's.")
    ] = None,
    overrides: Overrides = None,
    site: SiteName = None,
    as_name: Annotated[
        str | None, typer.Option("--as", help="Name of the study; default JOB-NAME.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all run directories.")] = RUNS,
    is_only_rendered: Annotated[bool, typer.Option("--render-only", help="Start nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Answer a question about a training: render its runs, run them, show a table and a plot.

    On this machine the runs are made at once, one after another; what is done is not run again.
    For a batch machine they are rendered; submit them, and give the same line, or the study's
    folder, to see the answer. Writes answer.csv, answer.json, answer.png and answer.svg there.
    """
    if name is None:
        _list(as_json)
        return
    _check(name, metric, clock)
    if target is None:
        raise ConfigError(f"study {name}: lacks a job; give one: hpctrain study {name} JOB")
    say = partial(typer.echo, err=as_json)  # standard output is for the JSON alone
    folder = _study_folder(target, out)
    if folder is not None:
        _refuse(values, seeds, epochs, rate, ranks, overrides, site, as_name, is_only_rendered)
        _report(folder, name, metric, clock, as_json)
        return
    if as_json and is_only_rendered:
        raise ConfigError("--json: prints an answer, and --render-only makes none; leave one out")
    words = [*(overrides or []), *([f"resources.ranks_per_node={ranks}"] if ranks else [])]
    options = _options(name, values, seeds, epochs, rate, as_name)
    resolved = _load(target, words, site, metric)
    folder, is_local = _render(resolved, name, out, options, say)
    failed: list[str] = []
    if is_local and not is_only_rendered:
        failed = _run(folder, say)
    elif not _has_begun(folder):
        say(f"next: {start_line(folder)}")
        say(f"then: {shlex.join(['hpctrain', 'study', name, str(folder)])}")
        if as_json:
            typer.echo(json.dumps({"folder": str(folder), "answer": None}, indent=1))
        return
    with suppress(ConfigError) if failed else nullcontext():  # of what did not fail, if any
        _report(folder, name, metric, clock, as_json)
    if failed:
        raise TrainError(
            f"{folder}: {len(failed)} runs failed ({', '.join(failed[:8])}); see hpctrain why "
            f"{folder / 'points' / failed[0]}, and give the same line to run them again"
        )


def _list(as_json: bool) -> None:
    from hpctrain.study import QUESTIONS

    if as_json:
        page = [{"name": name, "asks": q.asks, "equal": q.equal} for name, q in QUESTIONS.items()]
        typer.echo(json.dumps(page, indent=1))
        return
    width = max(map(len, QUESTIONS))
    for name, question in QUESTIONS.items():
        typer.echo(f"{name:{width}}  {question.asks}")
        typer.echo(f"{'':{width}}  equal: {question.equal}")


def _check(name: str, metric: str | None, clock: str | None) -> None:
    """Refuse before anything runs what would be refused behind it."""
    from hpctrain.config.words import nearest
    from hpctrain.study import QUESTIONS

    if name not in QUESTIONS:
        raise ConfigError(
            f"study: unknown question {name!r}; choose from {', '.join(QUESTIONS)}"
            f"{nearest(name, list(QUESTIONS))}"
        )
    question = QUESTIONS[name]
    if metric is not None and question.view in ("range", "distance"):
        raise ConfigError(
            f"--metric: has no effect on study {name}, which compares no validation; leave it out"
        )
    if clock not in (None, "wall", "cpu"):
        raise ConfigError(f"--clock: found {clock!r}; choose from wall, cpu")
    if clock is not None and not question.is_timed:
        raise ConfigError(
            f"--clock: has no effect on study {name}, which compares nothing at equal time; leave "
            "it out"
        )


def _study_folder(target: str, out: Path) -> Path | None:
    """A study that was rendered; None: the name is that of a job."""
    from hpctrain.study import STUDY

    places = (Path(target), out / target)
    return next((place for place in places if target and (place / STUDY).is_file()), None)


def _refuse(*given: object) -> None:
    if any(value not in (None, False, []) for value in given):
        raise ConfigError(
            "study: the folder of a study was given, whose runs are what they are; give its job "
            "to change them, or leave all options but --metric, --clock and --json out"
        )


def _options(
    name: str,
    values: str | None,
    seeds: int | None,
    epochs: int | None,
    rate: str | None,
    as_name: str | None,
) -> Options:
    from hpctrain.study.make import Options
    from hpctrain.sweep.scaling import RULES, Rule

    if rate is not None and name != "batch":
        raise ConfigError(f"--rate: has no effect on study {name}; it is for batch; leave it out")
    if rate is not None and rate not in RULES:
        raise ConfigError(f"--rate: found {rate!r}; choose from {', '.join(RULES)}")
    parts = tuple(part.strip() for part in values.split(",")) if values is not None else ()
    if values is not None and (not all(parts) or len(set(parts)) != len(parts)):
        raise ConfigError(f"--values: found {values!r}; give each value once, such as 64,128")
    rule = cast("Rule", rate or "none")
    return Options(parts, seeds if seeds is not None else Options.seeds, epochs, rule, as_name)


def _load(target: str, words: list[str], site: str | None, metric: str | None) -> Resolved:
    """The job; a number by which its runs cannot be compared is refused before they begin."""
    from hpctrain.study.questions import check_metric

    resolved = load(target, words, site)
    if metric is not None:
        check_metric(resolved.job, metric)
    return resolved


def _render(
    resolved: Resolved, name: str, out: Path, options: Options, say: Callable[[str], None]
) -> tuple[Path, bool]:
    """Write the study's folder; returns it, and whether its runs can be made here."""
    from hpctrain.study import STUDY, make_study

    study, text = make_study(resolved, name, options)
    folder = render_sweep(study, out, say, {STUDY: text})
    return folder, study.site.scheduler == "local"


def _run(folder: Path, say: Callable[[str], None]) -> list[str]:
    from hpctrain.study import read_study, run_points

    try:
        return run_points(folder, read_study(folder), say)
    except KeyboardInterrupt:
        say(f"{folder}: stopped; give the same line to go on with what is not done")
        raise typer.Exit(EXIT_STOPPED) from None


def _has_begun(folder: Path) -> bool:
    from hpctrain import run_state

    runs = run_state.find(folder / "points")
    return any((run / "logs" / "metrics.jsonl").is_file() for run in runs)


def _report(folder: Path, name: str, metric: str | None, clock: str | None, as_json: bool) -> None:
    from hpctrain.registry import STUDY_PLOT, resolve
    from hpctrain.study import answer, read_study, write_answer

    page = read_study(folder)
    if page["question"] != name:
        raise ConfigError(
            f"{folder}: is a study of {page['question']}, not of {name}; give: hpctrain study "
            f"{page['question']} {folder}"
        )
    found = answer(folder, page, metric, cast("Clock | None", clock))
    stamp = write_answer(folder, found)
    plot: Any = resolve(STUDY_PLOT)
    path = plot(found.plot, folder / "answer.png", stamp)
    if as_json:
        keys = ("question", "metric", "equal")
        own = {key: found.page[key] for key in keys}
        own |= {"answer": list(found.sentences), "rows": list(found.rows)}
        typer.echo(json.dumps(own, indent=1))
    else:
        typer.echo(aligned(found.rows))
        for sentence in found.sentences:
            typer.echo(f"- {sentence}")
    typer.echo(f"plot: {path}, and answer.svg, answer.csv, answer.json beside it", err=as_json)
