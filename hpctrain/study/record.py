"""What the runs of a study have written: validation and training loss over samples and time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hpctrain import run_state
from hpctrain.config.load import read_resolved
from hpctrain.errors import ConfigError
from hpctrain.sweep.write import POINTS

Clock = Literal["wall", "cpu"]

DIVERGED = "diverged"
"""State of a run that a loss which is no number has ended: an answer, and no fault."""


@dataclass(frozen=True)
class Moment:
    """Numbers of one moment.

    Attributes:
        samples: seen by all ranks since the start of the run.
        seconds: of training since then, by the clock that was asked for; validation, figures and
            checkpoints do not count.
        numbers: what was recorded.
    """

    samples: int
    seconds: float
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """One run of a study.

    Attributes:
        name: of the point.
        arm: number of its arm.
        seed: its seed.
        state: a word; `finished` and `diverged` are done.
        steps: how many it made.
        training: log lines.
        validation: validations.
        by_distance: error by distance, of the newest validation.
        precision: of its arithmetic, which train.precision: auto may choose; empty: not known.
    """

    name: str
    arm: int
    seed: int
    state: str
    steps: int
    training: tuple[Moment, ...]
    validation: tuple[Moment, ...]
    by_distance: dict[str, list[float]]
    precision: str = ""

    @property
    def is_done(self) -> bool:
        """Whether starting it again would add nothing."""
        return self.state in ("finished", DIVERGED)

    @property
    def seconds(self) -> float:
        """Time of all steps."""
        return self.training[-1].seconds if self.training else 0.0

    def curve(self, metric: str) -> list[tuple[int, float, float]]:
        """Samples, seconds and value of each validation that has the metric."""
        values = ((m, run_state.finite(m.numbers.get(metric))) for m in self.validation)
        return [(m.samples, m.seconds, value) for m, value in values if value is not None]


def read_runs(folder: Path, page: dict[str, Any], clock: Clock = "wall") -> list[Trained]:
    """All runs of a study, as far as they are.

    Args:
        folder: of the study.
        page: its study.json.
        clock: what seconds are: those that pass, or those that rank 0's processor works.
    """
    return [_read(folder / POINTS / run["name"], run, clock) for run in page["runs"]]


def state_of(run_dir: Path) -> str:
    """The state of a run in a word, `diverged` among them."""
    state = run_state.read(run_dir)
    word = state.verdict()
    is_answer = word == "failed" and state.text("error") == "NonFiniteLossError"
    return DIVERGED if is_answer else word


def _read(run_dir: Path, run: dict[str, Any], clock: Clock) -> Trained:
    training, validation = _moments(run_dir, _samples_by(run_dir), clock)
    steps = training[-1].numbers["step"] if training else 0
    own = run["name"], run["arm"], run["seed"], state_of(run_dir)
    precision = run_state.read(run_dir).text("precision") or ""
    return Trained(*own, steps, training, validation, _by_distance(run_dir), precision)


def _samples_by(run_dir: Path) -> Callable[[int], int]:
    """Samples of all ranks after so many steps.

    The last batch of an epoch, where it is kept, is as short as it is for scrolls; how many
    samples other data have is not written down, and it counts as full.
    """
    try:
        job = read_resolved(run_dir / "config.yaml")
    except ConfigError:
        return lambda _: 0
    batch, epoch = job.train.global_batch_size, getattr(job.data, "samples_per_epoch", 0)
    if job.train.last_batch == "drop" or not epoch:
        return lambda step: step * batch
    steps = -(-epoch // batch)
    return lambda step: step // steps * epoch + step % steps * batch


def _moments(
    run_dir: Path, samples: Callable[[int], int], clock: Clock
) -> tuple[tuple[Moment, ...], tuple[Moment, ...]]:
    """Log lines and validations, each with the time of all log lines up to it."""
    training, validation, seconds, step = [], [], 0.0, 0
    for line in _lines(run_dir / "logs" / "metrics.jsonl"):
        now = samples(line["step"])
        if line["kind"] == "train":
            seconds += _seconds(line, now - samples(step), clock)
            step = line["step"]
            training.append(Moment(now, seconds, line))
        elif line["kind"] == "validation":
            validation.append(Moment(now, seconds, line))
    return tuple(training), tuple(validation)


def _seconds(line: dict[str, Any], samples: int, clock: Clock) -> float:
    """Time since the log line before: of the loop by its speed, or of rank 0's processor."""
    if clock == "cpu":
        return run_state.finite(line.get("cpu_s")) or 0.0
    speed = run_state.finite(line.get("samples_per_s"))
    return samples / speed if speed else 0.0


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of metrics.jsonl; the last may be cut, as the run may be at work."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        try:
            page = json.loads(line)
        except ValueError:
            continue
        if isinstance(page, dict) and isinstance(page.get("step"), int) and "kind" in page:
            yield page


def _by_distance(run_dir: Path) -> dict[str, list[float]]:
    try:
        page = json.loads((run_dir / "eval" / "summary.json").read_text(encoding="utf-8"))
        found = page["error_by_distance"]
        return {key: [float(x) for x in found[key]] for key in ("distance", "mse")}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
