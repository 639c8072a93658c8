"""How large a difference must be before it says anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

_T = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t for 1 to 10 degrees of freedom, 95 % two-sided."""
_T_MANY = 2.0
_LAST = 8
"""Validations at the end of a run whose scatter is looked at."""


@dataclass(frozen=True)
class Noise:
    """The deviation of equal trainings from each other, as far as a study can tell it.

    Attributes:
        deviation: standard deviation of one run; None: nothing to tell it from.
        freedom: degrees of freedom of that.
        is_of_seeds: from runs that differ in their seed; else from the scatter of a run's
            validations, which another seed may exceed.
    """

    deviation: float | None
    freedom: int
    is_of_seeds: bool

    def margin(self, ones: int, others: int) -> float | None:
        """What the means of so many equal runs differ by in 1 of 20 cases, at least."""
        if self.deviation is None:
            return None
        t = _T[self.freedom - 1] if self.freedom <= len(_T) else _T_MANY
        return t * self.deviation * math.sqrt(1 / ones + 1 / others)

    @property
    def text(self) -> str:
        """Where it is from, for people."""
        if self.deviation is None:
            return "one seed each and too few validations, so nothing says what is noise"
        if self.is_of_seeds:
            return "noise: from runs that differ in their seed alone"
        return (
            "noise: the scatter of validations from epoch to epoch, of one seed each; another "
            "seed may differ by more"
        )


def noise_of(groups: Sequence[Sequence[float]], curves: Sequence[Sequence[float]]) -> Noise:
    """Noise of a study.

    Args:
        groups: final values of the seeds of each arm.
        curves: values of all validations of each run, for want of seeds.
    """
    freedom = sum(len(group) - 1 for group in groups if group)
    if freedom:
        squares = sum((x - fmean(group)) ** 2 for group in groups if group for x in group)
        return Noise(math.sqrt(squares / freedom), freedom, is_of_seeds=True)
    bends = [bend for curve in curves for bend in _bends(curve[-_LAST:])]
    if not bends:
        return Noise(None, 0, is_of_seeds=False)
    # x - 2y + z of three independent values has six times the variance of one, and no trend
    squares = sum(bend * bend for bend in bends) / 6
    return Noise(math.sqrt(squares / len(bends)), len(bends), is_of_seeds=False)


def _bends(values: Sequence[float]) -> list[float]:
    triples = zip(values, values[1:], values[2:], strict=False)
    return [x - 2 * y + z for x, y, z in triples]
