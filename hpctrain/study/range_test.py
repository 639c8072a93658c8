"""The learning-rate range test: the training loss while the rate rises (Smith 2017, 1506.01186)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from hpctrain.errors import ConfigError
from hpctrain.study.made import Found, Row, rounded
from hpctrain.study.record import DIVERGED, Trained

_WINDOWS = 20
"""The loss is smoothed by means over a window, a run's length by so many."""
_SAFETY = 10
"""The rate that is suggested is that of the lowest loss by this."""
_AT_THE_END = 0.95


@dataclass(frozen=True)
class Range:
    """A range test.

    Attributes:
        rates: of the steps.
        losses: of the steps.
        smooth: means of the losses around each step.
        lowest: number of the step with the lowest mean.
        steepest: number of the step at which the mean falls fastest over the rate's logarithm.
    """

    rates: list[float]
    losses: list[float]
    smooth: list[float]
    lowest: int
    steepest: int

    @property
    def suggested(self) -> float:
        """A tenth of the rate with the lowest loss."""
        return self.rates[self.lowest] / _SAFETY

    @property
    def is_open(self) -> bool:
        """Whether the loss is lowest at the highest rate, so that the range ended too early."""
        return self.lowest >= _AT_THE_END * (len(self.rates) - 1)


def read_range(rates: Sequence[float], losses: Sequence[float]) -> Range:
    """Find the lowest and the steepest place of a loss over a rising rate.

    Args:
        rates: of at least ten steps, rising.
        losses: of the same steps.
    """
    half = max(2, len(losses) // _WINDOWS // 2)
    smooth = [fmean(losses[max(0, i - half) : i + half + 1]) for i in range(len(losses))]
    lowest = min(range(len(smooth)), key=smooth.__getitem__)
    slopes = {
        i: (smooth[i + half] - smooth[i - half]) / math.log(rates[i + half] / rates[i - half])
        for i in range(half, max(half + 1, lowest))
        if i + half < len(rates)
    }
    return Range([*rates], [*losses], smooth, lowest, min(slopes, key=slopes.__getitem__))


def answer_range(page: dict[str, Any], runs: Sequence[Trained]) -> Found:
    """The rate of the lowest loss, of its steepest fall, and a tenth of the first.

    Raises:
        ConfigError: no run has made ten steps.
    """
    found = {run.name: tested for run in runs if (tested := _tested(page, run))}
    if not found:
        raise ConfigError("no run of the study has made ten steps yet; start it first")
    rows = [_row(run, found.get(run.name)) for run in runs]
    plot = {
        "loss": page["loss"],
        "rate": page["rate"],
        "suggested": median(tested.suggested for tested in found.values()),
        "curves": [
            {
                "seed": run.seed,
                "rates": found[run.name].rates,
                "losses": found[run.name].losses,
                "smooth": found[run.name].smooth,
            }
            for run in runs
            if run.name in found
        ],
    }
    return Found(rows, _sentences(page, [*found.values()]), plot)


def _tested(page: dict[str, Any], run: Trained) -> Range | None:
    key = f"loss/{page['loss']}"
    points = []
    for moment in run.training:
        numbers = moment.numbers
        name = next((k for k in numbers if k.startswith("learning_rate/")), "")
        own = f"learning_rate/{page['loss']}"
        rate, loss = numbers.get(own if own in numbers else name), numbers.get(key)
        if isinstance(rate, float) and isinstance(loss, int | float) and math.isfinite(loss):
            points.append((rate, loss))
    return read_range(*zip(*points, strict=True)) if len(points) >= 10 else None


def _row(run: Trained, tested: Range | None) -> Row:
    row: Row = {"seed": run.seed, "runs": run.state, "steps": run.steps}
    names = ("steepest at", "lowest at", "lowest loss", "suggested")
    values: tuple[float | None, ...] = (None,) * len(names)
    if tested:
        at = tested.rates[tested.steepest], tested.rates[tested.lowest]
        values = (*at, tested.smooth[tested.lowest], tested.suggested)
    row |= {name: rounded(value) for name, value in zip(names, values, strict=True)}
    row["diverged at"] = tested.rates[-1] if tested and run.state == DIVERGED else None
    return row


def _sentences(page: dict[str, Any], found: Sequence[Range]) -> list[str]:
    lowest = _ends([tested.rates[tested.lowest] for tested in found])
    steepest = _ends([tested.rates[tested.steepest] for tested in found])
    if all(tested.is_open for tested in found):
        return [
            f"the loss falls to the highest rate, {lowest}; the range ended too early to suggest "
            "one: give a higher end by --values"
        ]
    suggested = [tested.suggested for tested in found if not tested.is_open]
    ratio = page["rate"] / median(suggested)
    own = "about that" if 1 / 3 <= ratio <= 3 else f"{ratio:.2g} times that"
    text = (
        f"the loss falls fastest at a rate of {steepest} and is lowest at {lowest}; a tenth of "
        f"that, the usual choice, is {_ends(suggested)}, and the job has {page['rate']:g}, {own}"
    )
    return [text, *([] if len(found) > 1 else ["one run: another seed may shift this"])]


def _ends(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"
