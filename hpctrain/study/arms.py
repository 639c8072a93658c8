"""The arms of a study: what each sets in the job, and what must follow so that it is fair."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hpctrain.config.job import Job
from hpctrain.config.sweep import Scalar
from hpctrain.errors import ConfigError
from hpctrain.study.questions import QUESTIONS
from hpctrain.sweep.scaling import Rule, learning_rates

Values = dict[str, Scalar]

RENEWALS = 5
"""How often in a run the smallest pool is drawn anew, where that is compared, too."""
SCHEDULES = (("constant", 0.0), ("cosine", 0.0), ("exponential", 0.01))
"""Kinds and last factors; the last one is the 3e-4 -> 3e-6 of the scroll notebook."""


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared.

    Attributes:
        label: what it is called in tables and figures.
        values: path of a value in the job file to the value.
        columns: what tells it from the others, for the table.
    """

    label: str
    values: Values
    columns: dict[str, Scalar]


def make_arms(name: str, job: Job, values: Sequence[str], rule: Rule) -> list[Arm]:
    """The arms of a question.

    Args:
        name: of the question.
        job: as all runs have it.
        values: as the user gave them; empty: the question's own.
        rule: batch: how the learning rates follow it.

    Raises:
        ConfigError: values that the question cannot take, or that the job does not allow.
    """
    return list(_RULES[name](job, values, rule))


def _blocks(job: Job, values: Sequence[str], rule: Rule) -> Iterator[Arm]:
    key = QUESTIONS["blocks"].key
    for block in values or QUESTIONS["blocks"].values:
        yield Arm(str(block), {key: block}, {"block": block})


def _pools(job: Job, values: Sequence[str], rule: Rule) -> Iterator[Arm]:
    total = job.train.epochs * getattr(job.data, "samples_per_epoch", 0)
    sizes = sorted(_whole(values) or QUESTIONS["pool"].values, reverse=True)
    for size in sizes:
        if 2 * size > total:
            raise ConfigError(
                f"study pool: a pool of {size} windows, and the run sees {total} in all, each "
                "hardly twice; give smaller ones by --values, or more epochs"
            )
    never: Values = {"data.pool_lasts": None}
    yield Arm("streamed", {"data.pool": None, **never}, {"pool": "streamed"})
    for size in sizes:
        yield Arm(f"pool of {size}", {"data.pool": size, **never}, {"pool": size})
    lasts = total // RENEWALS
    if lasts >= 2 * sizes[-1]:
        both: Values = {"data.pool": sizes[-1], "data.pool_lasts": lasts}
        label = f"{sizes[-1]}, renewed after {lasts}"
        yield Arm(label, both, {"pool": label})


def _batches(job: Job, values: Sequence[str], rule: Rule) -> Iterator[Arm]:
    own = job.train.global_batch_size
    sizes = _whole(values) or _own_batches(job)
    most = getattr(job.data, "samples_per_epoch", None)
    for size in sizes:
        if most is not None and size > most:
            raise ConfigError(
                f"study batch: a batch of {size}, and an epoch has data.samples_per_epoch {most}; "
                "give smaller ones by --values, or more samples an epoch"
            )
        factor = {"linear": size / own, "sqrt": math.sqrt(size / own), "none": 1.0}[rule]
        rates = {} if rule == "none" else scaled_rates(job, factor)
        yield Arm(
            str(size),
            {"train.global_batch_size": size, **rates, **_in_samples(job, size / own)},
            {"batch": size},
        )


def whole_epoch(job: Job, arms: Sequence[Arm]) -> int | None:
    """Samples of an epoch that each arm's batch divides, so that all arms see as many.

    None: those of the job do, or its data are what they are. Of sizes whose common multiple is
    longer than an epoch only the largest divides it.
    """
    own = getattr(job.data, "samples_per_epoch", None)
    if own is None or job.train.last_batch == "keep":
        return None
    sizes = [size for arm in arms if isinstance(size := arm.columns["batch"], int)]
    unit = math.lcm(*sizes)
    unit = unit if unit <= own else max(sizes)
    whole = -(-own // unit) * unit
    return None if whole == own else whole


def _own_batches(job: Job) -> list[int]:
    """64 to 1024 windows; of other data the job's own batch, its halves and doubles."""
    if job.train.reads == "scroll":
        return list(QUESTIONS["batch"].values)
    own, shared = job.train.global_batch_size, job.total_ranks * job.train.accumulate
    sizes = (own // 4, own // 2, own, 2 * own, 4 * own)
    return [size for size in dict.fromkeys(sizes) if size and size % shared == 0]


def _in_samples(job: Job, factor: float) -> Values:
    """Warm-ups as long, and averages over as much, in samples as those of the job's own batch."""
    train, found = job.train, Values()
    if train.schedule.warmup_steps:
        steps = max(1, round(train.schedule.warmup_steps / factor))
        found["train.schedule.warmup_steps"] = steps
    divergence = getattr(train, "divergence", None)
    if divergence is not None and divergence.warmup_steps:
        steps = max(1, round(divergence.warmup_steps / factor))
        found["train.divergence.warmup_steps"] = steps
    temperature = getattr(train, "teacher_temperature", None)
    if temperature is not None and temperature.warmup_steps:
        steps = max(1, round(temperature.warmup_steps / factor))
        found["train.teacher_temperature.warmup_steps"] = steps
    # averages: Busbridge et al. 2023, arXiv:2307.13813, definition 1.2
    if train.ema is not None:
        found["train.ema.decay"] = _kept(train.ema.decay, factor)
    if hasattr(train, "teacher_momentum"):
        found["train.teacher_momentum"] = _kept(train.teacher_momentum, factor)
    centring = getattr(train, "centring", None)
    if centring is not None and centring.kind == "centre":
        found["train.centring.momentum"] = _kept(centring.momentum, factor)
    return found


def _kept(share: float, factor: float) -> float:
    """What an average keeps of itself in a step on so many times the samples."""
    return float(f"{share**factor:.9g}")


def _range(job: Job, values: Sequence[str], rule: Rule) -> Iterator[Arm]:
    ends = _numbers(values) or list(QUESTIONS["rate"].values)
    if len(ends) != 2 or ends[0] >= ends[1]:
        raise ConfigError(
            f"--values: found {','.join(values)}; the range has two ends: give the lowest and the "
            "highest rate, such as 1e-6,1"
        )
    low, high = ends
    own: Values = {
        **scaled_rates(job, low / main_rate(job)[1]),
        "train.schedule.kind": "exponential",
        "train.schedule.final_factor": float(f"{high / low:.6g}"),
        "train.schedule.warmup_steps": 0,
    }
    if hasattr(job.train, "divergence"):  # or the loss would change its weights on the way
        own["train.divergence.warmup_steps"] = 0
    yield Arm("rising rate", own, {"rates": f"{low:g} to {high:g}"})


def _schedules(job: Job, values: Sequence[str], rule: Rule) -> Iterator[Arm]:
    own = main_rate(job)[1]
    around = [float(f"{own * factor:.2g}") for factor in (1 / 3, 1, 3)]
    for rate in _numbers(values) or around:
        for kind, last in SCHEDULES:
            block: Values = {
                "train.schedule.kind": kind,
                "train.schedule.final_factor": last,
                **scaled_rates(job, rate / own),
            }
            yield Arm(f"{kind} {rate:g}", block, {"rate": rate, "schedule": kind})


def _as_it_is(job: Job, values: Sequence[str], rule: Rule) -> Iterator[Arm]:
    if values:
        raise ConfigError("--values: nothing varies in this question; leave it out")
    yield Arm("as it is", {}, {})


_RULES: dict[str, Callable[[Job, Sequence[str], Rule], Iterator[Arm]]] = {
    "blocks": _blocks,
    "pool": _pools,
    "batch": _batches,
    "rate": _range,
    "schedules": _schedules,
    "distance": _as_it_is,
}


def main_rate(job: Job) -> tuple[str, float]:
    """Path and value of the learning rate that a study names: that of `train.optimizer`."""
    rates = dict(learning_rates(job.train.model_dump(), "train"))
    key = "train.optimizer.learning_rate"
    return (key, rates[key]) if key in rates else next(iter(rates.items()))


def scaled_rates(job: Job, factor: float) -> Values:
    """All learning rates of a job, multiplied: those of an adversary keep their ratio."""
    found = learning_rates(job.train.model_dump(), "train")
    return {key: float(f"{rate * factor:.6g}") for key, rate in found}


def _whole(values: Sequence[str]) -> list[int]:
    if not all(text.isascii() and text.isdigit() and int(text) > 0 for text in values):
        raise ConfigError(
            f"--values: found {','.join(values)}; allowed: whole numbers, such as 64,128"
        )
    return sorted({int(text) for text in values})


def _numbers(values: Sequence[str]) -> list[float]:
    try:
        found = [float(text) for text in values]
    except ValueError:
        found = [0.0]
    if not all(0 < rate < math.inf for rate in found):
        raise ConfigError(
            f"--values: found {','.join(values)}; allowed: rates above 0, such as 1e-4,3e-4"
        )
    return list(dict.fromkeys(found))
