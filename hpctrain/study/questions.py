"""The questions that can be asked about a training, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hpctrain.config.job import Job
from hpctrain.config.words import nearest
from hpctrain.errors import ConfigError

View = Literal["curves", "rates", "range", "distance"]
"""curves: validation over samples, and over time; rates: over the learning rate, a curve a
schedule; range: training loss over a rising rate; distance: error by place in a window."""

_NO_SCHEDULE: Mapping[str, Any] = {
    "kind": "constant",
    "final_factor": 0.0,
    "milestones": [],
    "gamma": 0.1,
    "plateau": None,
}


@dataclass(frozen=True)
class Question:
    """What varies, what stays equal, and how the answer is read.

    Attributes:
        asks: the question in one line.
        key: path of the value that varies; empty: none does.
        values: what it takes where the user names nothing; empty: what follows from the job.
        equal: what all runs have in common.
        view: what is drawn and compared.
        sets: values of all runs, in place of the job's, as nested blocks.
        is_timed: whether the runs are also compared at equal time.
    """

    asks: str
    key: str
    values: tuple[Any, ...]
    equal: str
    view: View
    sets: Mapping[str, Any] = field(default_factory=dict)
    is_timed: bool = False


QUESTIONS: dict[str, Question] = {
    "blocks": Question(
        "Which blocks learn more: plain, with BatchNorm, residual?",
        "train.network.block",
        ("plain", "batch_norm", "residual"),
        "steps, samples and rates",
        "curves",
        is_timed=True,
    ),
    "pool": Question(
        "How many windows are enough: new ones all the time, or a pool seen again and again?",
        "data.pool",
        (10000, 1000),
        "steps, samples and rates",
        "curves",
    ),
    "batch": Question(
        "Which batch learns more: at equal samples, and at equal time?",
        "train.global_batch_size",
        (64, 128, 256, 512, 1024),
        "samples, and the length of warm-ups and averages in samples",
        "curves",
        is_timed=True,
    ),
    "rate": Question(
        "Which learning rate: how does the loss change while the rate rises?",
        "",
        (1e-6, 1.0),
        "one run; the rate rises by the same factor at each step",
        "range",
        {"train": {"log_every_steps": 1, "schedule": _NO_SCHEDULE}},
    ),
    "schedules": Question(
        "Which schedule at which rate: constant, cosine to 0, exponential to a hundredth?",
        "train.schedule.kind",
        (),
        "steps and samples",
        "rates",
        {"train": {"schedule": _NO_SCHEDULE}},
    ),
    "distance": Question(
        "How much worse is the output towards the surface of a window?",
        "",
        (),
        "one run",
        "distance",
    ),
}
"""By name; adding one is a line here, and a rule in `arms` where its values need one."""


def misfit(name: str, job: Job) -> str:
    """Why a question makes no sense for a job; empty: it does."""
    train, data = job.train, job.data
    if name == "blocks" and not hasattr(getattr(train, "network", None), "block"):
        return (
            f"task {train.task} has no train.network.block as it stands; this question is for "
            "scroll_vae, and for ink with network.kind: encoder_decoder"
        )
    if name == "pool" and not hasattr(data, "pool"):
        return (
            f"data.kind {data.kind} has no pool: its samples are files, not draws; this question "
            "is for data.kind: scroll"
        )
    if name == "distance" and train.reads != "scroll":
        return f"task {train.task} measures no error by distance; this question is for scrolls"
    if name == "rate" and train.task == "field_gan":
        return (
            "the losses of field_gan do not fall as it learns, so that they tell no rate; ask: "
            "hpctrain study schedules"
        )
    if name == "batch" and train.schedule.kind == "step":
        return (
            "schedule.kind: step counts steps, of which each batch size makes another number; "
            "choose another schedule"
        )
    return ""


_METRICS = {
    "scroll_vae": "loss",
    "ink": "loss",
    "field_gan": "chi2/both",
    "vicreg": "loss",
    "dino": "r1_rgb_to_ir",  # its loss tells little of what is learned
}


def metric_of(job: Job) -> str:
    """The number of the validation that runs are compared by: what best.pt is kept by, if any."""
    best = job.train.checkpoints.best
    if best is not None:
        return best.removeprefix("validation/")
    return _METRICS.get(job.train.task, "rmse/generator")


def check_metric(job: Job, metric: str) -> None:
    """Refuse, before anything runs, a number that is not known to be in the task's validation.

    Raises:
        ConfigError: names those that there are.
    """
    known = [name.removeprefix("validation/") for name in job.train.validated]
    if known and metric not in known:
        raise ConfigError(
            f"--metric: unknown {metric!r}; until runs have measured others, choose from "
            f"{', '.join(known)}{nearest(metric, known)}"
        )


def loss_of(job: Job) -> str:
    """The training loss that falls as the task learns."""
    if job.train.task in ("super_resolution", "field_to_field"):
        return "content" if getattr(job.train, "adversary", None) else "generator"
    return {"scroll_vae": "vae", "field_gan": "generator"}.get(job.train.task, job.train.task)
