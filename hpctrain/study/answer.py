"""The answer of a study: a table, sentences, and what the figure shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctrain.errors import ConfigError
from hpctrain.study.curves import answer_curves
from hpctrain.study.distance import answer_distance
from hpctrain.study.made import Found, Row, unlike_arithmetic
from hpctrain.study.make import STUDY
from hpctrain.study.questions import QUESTIONS, View
from hpctrain.study.range_test import answer_range
from hpctrain.study.record import DIVERGED, Clock, Trained, read_runs
from hpctrain.study.schedules import answer_rates


@dataclass(frozen=True)
class Answer:
    """What a study says.

    Attributes:
        page: study.json.
        rows: of the table, one an arm.
        sentences: what they show.
        plot: what the figure shows, for `hpctrain.analysis.study`.
        done: runs that are finished or diverged.
        runs: all of them.
    """

    page: dict[str, Any]
    rows: Sequence[Row]
    sentences: Sequence[str]
    plot: dict[str, Any]
    done: int
    runs: Sequence[Trained]


_VIEWS: dict[View, Callable[[dict[str, Any], Sequence[Trained]], Found]] = {
    "curves": answer_curves,
    "rates": answer_rates,
    "range": answer_range,
    "distance": answer_distance,
}


def answer(
    folder: Path, page: dict[str, Any], metric: str | None = None, clock: Clock | None = None
) -> Answer:
    """Read the runs of a study and say what they show.

    Args:
        folder: of the study.
        page: its study.json.
        metric: number of the validation to compare by; None: the job's own.
        clock: by which time is equal; None: the wall's.

    Raises:
        ConfigError: no run has got far enough, or none has the metric.
    """
    question = QUESTIONS[page["question"]]
    page = {**page, "metric": metric or page["metric"], "clock": clock or "wall"}
    runs = read_runs(folder, page, clock or "wall")
    if question.view in ("curves", "rates"):
        _check_metric(runs, page["metric"], is_given=metric is not None)
    found = _VIEWS[question.view](page, runs)
    done = sum(run.is_done for run in runs)
    labels = [arm["label"] for arm in page["arms"]]
    sentences = [*found.sentences, *unlike_arithmetic(labels, runs), *page.get("notes", [])]
    if done < len(runs):
        sentences.append(f"{len(runs) - done} of {len(runs)} runs are not done: this may change")
    plot = {"view": question.view, "title": _title(folder, page), **found.plot}
    return Answer(page, found.rows, sentences, plot, done, runs)


def _title(folder: Path, page: dict[str, Any]) -> str:
    return f"{folder.resolve().name}: {page['asks']}"


def _check_metric(runs: Sequence[Trained], metric: str, *, is_given: bool) -> None:
    """Refuse a name that no validation has.

    Raises:
        ConfigError: names those that there are.
    """
    known = dict.fromkeys(key for run in runs for m in run.validation for key in m.numbers)
    for key in ("kind", "time", "epoch", "step"):
        known.pop(key, None)
    if known and metric not in known:
        from hpctrain.config.words import nearest

        names = f"{', '.join(known)}{nearest(metric, known)}"
        if is_given:
            raise ConfigError(f"--metric: unknown {metric!r}; choose from {names}")
        raise ConfigError(
            f"{STUDY}: its runs are compared by {metric!r}, which no validation of them has; give "
            f"--metric, one of {names}"
        )
    if not known and not any(run.state == DIVERGED for run in runs):
        raise ConfigError("no run of the study has been validated yet; start it first")
