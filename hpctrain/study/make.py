"""A question and a job make a sweep: the runs of a study, and what study.json says of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpctrain.config.document import Document
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.config.load import Resolved
from hpctrain.errors import ConfigError
from hpctrain.study.arms import Arm, main_rate, make_arms, whole_epoch
from hpctrain.study.questions import QUESTIONS, Question, loss_of, metric_of, misfit
from hpctrain.sweep.points import name_width
from hpctrain.sweep.scaling import RULES, Rule

STUDY = "study.json"
RANGE_STEPS = 200
"""Steps of a range test on scrolls, whose epochs may be of any length."""
_LOG_POINTS = 400
"""Log points of a run that is to show how its training loss moves."""


@dataclass(frozen=True)
class Options:
    """What the user may say of a study.

    Attributes:
        values: of what varies; empty: the question's own.
        seeds: runs of each arm, which differ in the seed alone.
        epochs: of each run; None: the job's.
        rule: batch: how the learning rates follow it.
        as_name: name of the study; None: that of the job and the question.
    """

    values: tuple[str, ...] = ()
    seeds: int = 2
    epochs: int | None = None
    rule: Rule = "none"
    as_name: str | None = None


def make_study(resolved: Resolved, name: str, options: Options) -> tuple[Resolved, str]:
    """The job as a sweep over the runs of a question, and the text of its study.json.

    Raises:
        ConfigError: the question makes no sense for the job, or a value cannot be.
    """
    job, layers, question = resolved.job, resolved.layers, QUESTIONS[name]
    if job.sweep is not None:
        raise ConfigError(
            f"{layers.source(('sweep',))}: sweep: study makes a sweep of its own; leave it out, or "
            "give --set sweep=null"
        )
    why_not = misfit(name, job)
    if why_not:
        raise ConfigError(f"study {name}: {why_not}")
    base = Layers(copy.deepcopy(layers.value), list(layers.documents), dict(layers.origins))
    called = f"hpctrain study {name}"
    base.add(Document(called, {"name": options.as_name or f"{job.name}-{name}"}))
    for block in _blocks(job, name, question, options):
        base.add(Document(called, block))
    arms = make_arms(name, _with_epochs(job, options), options.values, options.rule)
    samples = whole_epoch(job, arms) if name == "batch" else None
    notes = []
    if samples is not None:
        base.add(Document(called, {"data": {"samples_per_epoch": samples}}))
        notes.append(f"an epoch has {samples} samples in all runs, which the batches divide")
    seeds = [job.train.seed + i for i in range(options.seeds)]
    points = [arm.values for arm in arms if arm.values]
    base.add(Document(called, {"sweep": {"grid": {"train.seed": seeds}, "points": points}}))
    made = Resolved(base.validate(Job), resolved.site, base)
    return made, _text(name, job, arms, seeds, options, notes)


def _with_epochs(job: Job, options: Options) -> Job:
    if options.epochs is None:
        return job
    train = job.train.model_copy(update={"epochs": options.epochs})
    return job.model_copy(update={"train": train})


def _blocks(job: Job, name: str, question: Question, options: Options) -> list[dict[str, Any]]:
    """What all runs have in place of the job's values, later blocks on top."""
    own: dict[str, Any] = {"figures_every_epochs": 0, "checkpoints": {"keep_last": 1}}
    found: list[dict[str, Any]] = [{"train": own}, dict(question.sets)]
    if options.epochs is not None:
        found.append({"train": {"epochs": options.epochs}})
    elif name == "rate" and job.train.reads == "scroll":
        samples = RANGE_STEPS * job.train.global_batch_size
        found.append({"data": {"samples_per_epoch": samples}, "train": {"epochs": 1}})
    if name == "pool":
        epochs, batch = options.epochs or job.train.epochs, job.train.global_batch_size
        steps = epochs * getattr(job.data, "samples_per_epoch", 0) // batch
        found.append({"train": {"log_every_steps": max(1, steps // _LOG_POINTS)}})
    return found


def _text(
    name: str,
    job: Job,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    options: Options,
    notes: Sequence[str],
) -> str:
    """study.json: what was asked, what each run is, and how runs are compared."""
    question, metric = QUESTIONS[name], metric_of(job)
    runs = [(seed, arm) for seed in seeds for arm in range(len(arms))]
    width = name_width(len(runs))
    page = {
        "question": name,
        "asks": question.asks,
        "equal": question.equal,
        "view": question.view,
        "is_timed": question.is_timed,
        "job": job.name,
        "task": job.train.task,
        "metric": metric,
        "rising": sorted(key.removeprefix("validation/") for key in job.train.rising),
        "loss": loss_of(job),
        "rate": main_rate(job)[1],
        "schedule": job.train.schedule.kind,
        "rule": RULES[options.rule] if name == "batch" else "",
        "last_batch": job.train.last_batch,
        "notes": [*notes],
        "arms": [asdict(arm) for arm in arms],
        "runs": [
            {"name": f"{number:0{width}}", "arm": arm, "seed": seed}
            for number, (seed, arm) in enumerate(runs)
        ],
    }
    return json.dumps(page, indent=1) + "\n"


def read_study(folder: Path) -> dict[str, Any]:
    """study.json of a study.

    Raises:
        ConfigError: it is missing or no longer what study wrote.
    """
    path = folder / STUDY
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        if page["question"] in QUESTIONS and page["arms"] and page["runs"]:
            return dict(page)
    except FileNotFoundError as e:
        raise ConfigError(
            f"{folder}: has no {STUDY}; make a study with: hpctrain study NAME JOB"
        ) from e
    except (OSError, ValueError, LookupError, TypeError):
        pass
    raise ConfigError(f"{path}: cannot be read; render the study again")
