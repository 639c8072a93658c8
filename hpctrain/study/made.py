"""What each view makes of the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpctrain.study.record import Trained

Row = dict[str, Any]
"""Value by column; None where it is not known."""


@dataclass(frozen=True)
class Found:
    """Table, sentences, and what the figure shows."""

    rows: Sequence[Row]
    sentences: Sequence[str]
    plot: dict[str, Any]


def of_arm(runs: Sequence[Trained], arm: int) -> list[Trained]:
    """Runs of one arm, by seed."""
    return [run for run in runs if run.arm == arm]


def finished(runs: Sequence[Trained], arm: int) -> list[Trained]:
    """Runs of one arm that went to their end."""
    return [run for run in of_arm(runs, arm) if run.state == "finished"]


def states(runs: Sequence[Trained]) -> str:
    """`2 finished`, or `1 finished, 1 diverged`."""
    counts = Counter(run.state for run in runs)
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def precisions(runs: Sequence[Trained]) -> str:
    """`float32`, or `float32, bfloat16`; empty: not known."""
    return ", ".join(dict.fromkeys(run.precision for run in runs if run.precision))


def unlike_arithmetic(labels: Sequence[str], runs: Sequence[Trained]) -> list[str]:
    """A warning where runs that are compared do not compute alike."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        if run.precision:
            found.setdefault(run.precision, {})[labels[run.arm]] = None
    if len(found) < 2:
        return []
    parts = "; ".join(f"{name}: {', '.join(own)}" for name, own in found.items())
    return [
        f"not in the same arithmetic, by train.precision: auto ({parts}), which may be all of a "
        "difference; give --set train.precision=float32, or another"
    ]


def rounded(value: float | None) -> float | None:
    """Six digits, which is more than a training has."""
    return None if value is None else float(f"{value:.6g}")


def mean(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return rounded(sum(values) / len(values)) if values else None
