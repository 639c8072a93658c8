"""Arms compared by their validation: at equal samples, and at equal time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hpctrain.study.made import Found, Row, finished, mean, of_arm, precisions, rounded, states
from hpctrain.study.noise import Noise, noise_of
from hpctrain.study.record import DIVERGED, Trained
from hpctrain.study.verdict import Compared, verdict

_TAIL = 0.1
"""Share of a run at its end over which its training loss is averaged."""
_FALLING = ("cosine", "exponential")
_UNITS = {"wall": "s", "cpu": "CPU s"}


def answer_curves(page: dict[str, Any], runs: Sequence[Trained]) -> Found:
    """Final values, values at the smallest common time, and the gap to the training loss."""
    metric, labels = page["metric"], [arm["label"] for arm in page["arms"]]
    done = [run for run in runs if run.state == "finished" and run.curve(metric)]
    shared_s = common_time(done, metric) if page["is_timed"] else None
    finals = [_finals(runs, arm, metric) for arm in range(len(labels))]
    noise = noise_of(finals, [[v for *_, v in run.curve(metric)] for run in done])
    rows = [_row(page, runs, arm, shared_s) for arm in range(len(labels))]
    sentences = _equal_steps(page, finals, noise, _seen(page, rows))
    if shared_s is not None:
        sentences += _equal_time(page, runs, shared_s, noise)
    sentences += _unripe(page, done, noise)
    if page["question"] == "pool":
        sentences += _gaps(labels, rows)
    sentences += [_diverged(labels, runs), noise.text] if done else [_diverged(labels, runs)]
    plot = {
        "metric": metric,
        "loss": page["loss"] if page["question"] == "pool" else None,
        "common_s": shared_s,
        "is_timed": page["is_timed"],
        "clock": page["clock"],
        "curves": [_curve(page, run) for run in runs if run.curve(metric)],
    }
    return Found(rows, [s for s in sentences if s], plot)


def common_time(runs: Sequence[Trained], metric: str) -> float | None:
    """Seconds of training that all runs have had at their last validation, at least."""
    ends = [run.curve(metric)[-1][1] for run in runs]
    return min(ends, default=None)


def value_at(curve: Sequence[tuple[int, float, float]], seconds: float) -> float | None:
    """Value at a time, straight between the validations around it; None before the first."""
    before: tuple[int, float, float] | None = None
    for point in curve:
        if point[1] >= seconds:
            if before is None:
                return point[2] if point[1] == seconds else None
            share = (seconds - before[1]) / ((point[1] - before[1]) or 1.0)
            return before[2] + share * (point[2] - before[2])
        before = point
    return None


def _finals(runs: Sequence[Trained], arm: int, metric: str) -> tuple[float, ...]:
    curves = (run.curve(metric) for run in finished(runs, arm))
    return tuple(curve[-1][2] for curve in curves if curve)


def _at_time(
    runs: Sequence[Trained], arm: int, metric: str, seconds: float | None
) -> tuple[float, ...]:
    if seconds is None:
        return ()
    found = (value_at(run.curve(metric), seconds) for run in finished(runs, arm))
    return tuple(value for value in found if value is not None)


def _row(page: dict[str, Any], runs: Sequence[Trained], arm: int, seconds: float | None) -> Row:
    metric, own, all_own = page["metric"], finished(runs, arm), of_arm(runs, arm)
    finals = _finals(runs, arm, metric)
    row: Row = {
        **page["arms"][arm]["columns"],
        "runs": states(all_own),
        "steps": max((run.steps for run in all_own), default=None),
        "samples": max((run.training[-1].samples for run in own if run.training), default=None),
        "train_s" if page["clock"] == "wall" else "cpu_s": mean([run.seconds for run in own]),
        metric: mean(finals),
        "lowest": rounded(min(finals, default=None)),
        "highest": rounded(max(finals, default=None)),
    }
    if precisions(runs):
        row["precision"] = precisions(all_own) or None
    if seconds is not None:
        row[f"{metric} at {seconds:.4g} {_UNITS[page['clock']]}"] = mean(
            _at_time(runs, arm, metric, seconds)
        )
    if page["question"] == "pool":
        row["training loss"] = mean([loss for run in own if (loss := _tail(page, run)) is not None])
    return row


def _tail(page: dict[str, Any], run: Trained) -> float | None:
    """Mean training loss over the end of a run."""
    key = f"loss/{page['loss']}"
    known = [m for m in run.training if isinstance(m.numbers.get(key), int | float)]
    from_here = known[-1].samples * (1 - _TAIL) if known else 0
    return mean([m.numbers[key] for m in known if m.samples > from_here])


def _compared(page: dict[str, Any], groups: Sequence[tuple[float, ...]]) -> list[Compared]:
    pairs = zip(page["arms"], groups, strict=True)
    return [Compared(arm["label"], values) for arm, values in pairs if values]


def _seen(page: dict[str, Any], rows: Sequence[Row]) -> str:
    """What the finished runs have had alike."""
    if page["question"] != "batch":
        return "at equal steps"
    seen = [row["samples"] for row in rows if row[page["metric"]] is not None]
    # a short batch that is left out is another one at each size
    if not seen or page.get("last_batch") == "keep" or min(seen) == max(seen):
        return "at equal samples"
    return f"after {min(seen)} to {max(seen)} samples"


def _equal_steps(
    page: dict[str, Any], finals: Sequence[tuple[float, ...]], noise: Noise, seen: str
) -> list[str]:
    known = _compared(page, finals)
    if len(known) < 2:
        return ["fewer than two of the arms are finished, so there is nothing to compare yet"]
    own = page["metric"], noise
    text = verdict(known, *own, is_rising=page["metric"] in page["rising"])
    return [f"{seen}: {text}"]


def _equal_time(
    page: dict[str, Any], runs: Sequence[Trained], seconds: float, noise: Noise
) -> list[str]:
    groups = [_at_time(runs, arm, page["metric"], seconds) for arm in range(len(page["arms"]))]
    known, found = _compared(page, groups), []
    at = f"at equal time, {seconds:.4g} {_UNITS[page['clock']]} of training"
    if len(known) > 1:
        own = page["metric"], noise
        text = verdict(known, *own, is_rising=page["metric"] in page["rising"])
        found.append(f"{at}: {text}")
    late = [arm["label"] for arm, own in zip(page["arms"], groups, strict=True) if not own]
    finished_late = [
        x for i, x in enumerate(page["arms"]) if x["label"] in late and finished(runs, i)
    ]
    if finished_late:
        names = ", ".join(arm["label"] for arm in finished_late)
        found.append(f"{at}: {names} had no validation yet; validate more often to compare them")
    if page["schedule"] in _FALLING:
        found.append(
            f"the rate falls ({page['schedule']}) over each run's own length, so that at equal "
            "time the slower runs still have a higher one; schedule.kind: constant is fair"
        )
    return found


def _unripe(page: dict[str, Any], done: Sequence[Trained], noise: Noise) -> list[str]:
    """Arms that are not yet better than at their first validation, so that they tell little."""
    is_rising, margin = page["metric"] in page["rising"], noise.margin(1, 1) or 0.0
    found = {}
    for run in done:
        curve = run.curve(page["metric"])
        gain = (curve[-1][2] - curve[0][2]) * (1 if is_rising else -1)
        if len(curve) > 1 and gain < -margin:
            found[page["arms"][run.arm]["label"]] = gain
    if not found:
        return []
    names = ", ".join(found)
    return [f"worse at the end than at the first validation: {names}; train longer to compare them"]


def _gaps(labels: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """How far the training loss lies below the validation loss: what was learned by heart."""
    gaps = [
        f"{label} {row['loss'] - row['training loss']:.3g}"
        for label, row in zip(labels, rows, strict=True)
        if row.get("loss") is not None and row.get("training loss") is not None
    ]
    return [f"validation loss less training loss: {', '.join(gaps)}"] if gaps else []


def _diverged(labels: Sequence[str], runs: Sequence[Trained]) -> str:
    names = dict.fromkeys(labels[run.arm] for run in runs if run.state == DIVERGED)
    return f"diverged, to a loss that is no number: {', '.join(names)}" if names else ""


def _curve(page: dict[str, Any], run: Trained) -> dict[str, Any]:
    samples, seconds, values = zip(*run.curve(page["metric"]), strict=True)
    own = {"arm": run.arm, "label": page["arms"][run.arm]["label"], "seed": run.seed}
    found = {**own, "samples": samples, "seconds": seconds, "values": values}
    if page["question"] == "pool":
        key = f"loss/{page['loss']}"
        known = [m for m in run.training if isinstance(m.numbers.get(key), int | float)]
        found["training_samples"] = [m.samples for m in known]
        found["training_loss"] = [m.numbers[key] for m in known]
    return found
