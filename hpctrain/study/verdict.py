"""One sentence of what was compared: which is better, and what is within the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hpctrain.study.noise import Noise


@dataclass(frozen=True)
class Compared:
    """One arm with the values of its runs.

    Attributes:
        label: of the arm.
        values: one of each run.
    """

    label: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of all runs."""
        return fmean(self.values)

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.label} ({self.mean:.4g})"


def verdict(arms: Sequence[Compared], metric: str, noise: Noise, *, is_rising: bool) -> str:
    """What a comparison of final values shows, and no more.

    Args:
        arms: those that have values, two or more.
        metric: name of the values.
        noise: how large differences without a reason are.
        is_rising: whether larger is better.
    """
    ordered = sorted(arms, key=lambda arm: -arm.mean if is_rising else arm.mean)
    best, others = ordered[0], ordered[1:]
    extreme = "highest" if is_rising else "lowest"
    margins = [noise.margin(len(best.values), len(other.values)) for other in others]
    if any(margin is None for margin in margins):
        return f"{best.text} has the {extreme} {metric}, before {_listed(others)}"
    level = [
        other
        for other, margin in zip(others, margins, strict=True)
        if abs(other.mean - best.mean) <= (margin or 0.0)
    ]
    behind = [other for other in others if other not in level]
    within = f"{max(m or 0.0 for m in margins):.2g}"
    if not level:
        return (
            f"{best.text} has the {extreme} {metric}, before {_listed(behind)}; the noise is "
            f"{within}"
        )
    tied = f"{_listed([best, *level])} cannot be told apart by {metric}: the noise is {within}"
    return f"{tied}; behind them {_listed(behind)}" if behind else tied


def _listed(arms: Sequence[Compared]) -> str:
    texts = [arm.text for arm in arms]
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))
