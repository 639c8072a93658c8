"""Scaling studies: the same training on more and more ranks, and what each made of them."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from hpctrain import run_state
from hpctrain.config.document import Document
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.config.load import Resolved
from hpctrain.errors import ConfigError
from hpctrain.sweep.write import POINTS

STUDY = "scaling.json"

Mode = Literal["weak", "strong"]
Rule = Literal["linear", "sqrt", "none"]

RULES: dict[str, str] = {
    "linear": "learning rate x batch (Goyal et al. 2017, arXiv:1706.02677)",
    "sqrt": "learning rate x square root of batch (Krizhevsky 2014, arXiv:1404.5997)",
    "none": "learning rate as it is",
}
"""How the learning rate follows the global batch, and who says so."""


@dataclass(frozen=True)
class Study:
    """What is varied, and what follows it.

    Attributes:
        key: resources.nodes or resources.ranks_per_node.
        counts: its values.
        mode: weak: the global batch grows with the ranks; strong: it stays.
        rule: how the learning rates follow the global batch.
        epochs: of each run; None: the job's.
    """

    key: str
    counts: tuple[int, ...]
    mode: Mode = "weak"
    rule: Rule = "linear"
    epochs: int | None = None


def study_points(job: Job, study: Study) -> list[dict[str, Any]]:
    """The values of each point; the job's own batch and rates belong to its own ranks.

    Raises:
        ConfigError: the batch of a point would not be whole.
    """
    return [_point(job, study, count) for count in study.counts]


def _point(job: Job, study: Study, count: int) -> dict[str, Any]:
    own = getattr(job.resources, study.key.split(".")[1])
    values: dict[str, Any] = {study.key: count}
    if study.mode == "weak":
        batch, rest = divmod(job.train.global_batch_size * count, own)
        if rest or not batch:
            raise ConfigError(
                f"scale: a batch of {job.train.global_batch_size} for {own} cannot become one for "
                f"{count}; choose numbers that divide, or --mode strong"
            )
        values["train.global_batch_size"] = batch
        factor = {"linear": count / own, "sqrt": math.sqrt(count / own), "none": 1.0}[study.rule]
        for key, rate in learning_rates(job.train.model_dump(), "train"):
            values[key] = float(f"{rate * factor:.6g}")
    if study.epochs is not None:
        values["train.epochs"] = study.epochs
    return values


def learning_rates(block: dict[str, Any], path: str) -> Iterator[tuple[str, float]]:
    """Every learning rate of a block, with its path in the job file."""
    for name, value in block.items():
        if isinstance(value, dict):
            yield from learning_rates(value, f"{path}.{name}")
        elif name == "learning_rate":
            yield f"{path}.{name}", value


def with_study(resolved: Resolved, study: Study) -> Resolved:
    """The job as a sweep over the points of a study, named NAME-scale.

    Raises:
        ConfigError: it has a sweep of its own, or a value cannot be scaled.
    """
    job, layers = resolved.job, resolved.layers
    if job.sweep is not None:
        raise ConfigError(
            f"{layers.source(('sweep',))}: sweep: scale makes a sweep of its own; leave it out, or "
            "give --set sweep=null"
        )
    sweep = {"points": study_points(job, study)}
    own = Layers(copy.deepcopy(layers.value), list(layers.documents), dict(layers.origins))
    own.add(Document("hpctrain scale", {"name": f"{job.name}-scale", "sweep": sweep}))
    return Resolved(own.validate(Job), resolved.site, own)


def study_text(job: Job, study: Study) -> str:
    """scaling.json: what was varied, by which rule, and where it started from."""
    page = {
        **asdict(study),
        "rule_text": RULES[study.rule] if study.mode == "weak" else RULES["none"],
        "base": {
            "nodes": job.resources.nodes,
            "ranks_per_node": job.resources.ranks_per_node,
            "global_batch_size": job.train.global_batch_size,
            "learning_rates": dict(learning_rates(job.train.model_dump(), "train")),
        },
        "points": study_points(job, study),
    }
    return json.dumps(page, indent=1) + "\n"


def read_study(folder: Path) -> dict[str, Any]:
    """scaling.json of a study.

    Raises:
        ConfigError: it is missing or no longer what scale wrote.
    """
    path = folder / STUDY
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(page["points"], list) and page["key"] in page["points"][0]:
            return dict(page)
    except FileNotFoundError as e:
        raise ConfigError(
            f"{folder}: has no {STUDY}; make a study with: hpctrain scale JOB --nodes 1,2,4"
        ) from e
    except (OSError, ValueError, LookupError, TypeError):
        pass
    raise ConfigError(f"{path}: cannot be read; render the study again")


def measure(folder: Path) -> list[dict[str, Any]]:
    """One row a point: ranks, speed, speed-up and efficiency against the smallest that ran.

    Raises:
        ConfigError: the folder is no scaling study.
    """
    read_study(folder)
    runs = run_state.find(folder / POINTS)
    rows = [_measured(run) for run in runs]
    known = [row for row in rows if row["samples/s"] and row["ranks"]]
    base = min(known, key=lambda row: row["ranks"], default=None)
    for row in rows:
        speed, ranks = row["samples/s"], row["ranks"]
        is_known = base is not None and speed and ranks
        row["speed-up"] = round(speed / base["samples/s"], 3) if base and is_known else None
        ideal = ranks / base["ranks"] if base and is_known else None
        row["efficiency"] = round(row["speed-up"] / ideal, 3) if ideal else None
    order = ("name", "nodes", "ranks", "global_batch_size", "state", "steps", "samples/s")
    more = ("speed-up", "efficiency", "data", "communication")
    return [{key: row[key] for key in (*order, *more)} for row in rows]


def _measured(run: Path) -> dict[str, Any]:
    from hpctrain.config.load import read_resolved

    try:
        job: Job | None = read_resolved(run / "config.yaml")
    except ConfigError:
        job = None
    lines = _train_lines(run)
    return {
        "name": run.name,
        "nodes": job.resources.nodes if job else None,
        "ranks": job.total_ranks if job else None,
        "global_batch_size": job.train.global_batch_size if job else None,
        "state": run_state.read(run).verdict(),
        "steps": max((line["step"] for line in lines), default=None),
        "samples/s": _median(lines, "samples_per_s"),
        "data": _median(lines, "share/data"),
        "communication": _median(lines, "share/communication"),
    }


def _train_lines(run: Path) -> list[dict[str, Any]]:
    """Lines of logs/metrics.jsonl of kind train; the last may be cut, the run may be at work."""
    try:
        text = (run / "logs" / "metrics.jsonl").read_text(encoding="utf-8")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            page = json.loads(line)
        except ValueError:
            continue
        if isinstance(page, dict) and page.get("kind") == "train" and "step" in page:
            found.append(page)
    return found


def _median(lines: Sequence[dict[str, Any]], key: str) -> float | None:
    """Median over the steps after warm-up: the first line holds the steps that fill caches."""
    values = [run_state.finite(line.get(key)) for line in (lines[1:] or lines)]
    known = [value for value in values if value is not None]
    return float(f"{median(known):.5g}") if known else None
