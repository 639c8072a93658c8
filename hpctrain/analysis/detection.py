"""How well scores tell two classes apart, from two histograms of the scores.

Histograms add up over batches and ranks, so that each number here is that of all pixels, to the
width of a bin. Bins are of logits, evenly spaced, as nets are most often sure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUM_BINS = 4096
LIMIT = 16.0
"""Logits beyond are counted at the ends; the probability there is 1e-7 from 0 or 1."""


def edges() -> Array:
    """Lower edges of the bins, as probabilities; each is a threshold: ink from there on."""
    logits = -LIMIT + 2 * LIMIT * np.arange(NUM_BINS) / NUM_BINS
    found: Array = 1 / (1 + np.exp(-logits))
    found[0] = 0.0
    return found


@dataclass(frozen=True)
class Detection:
    """Counts of pixels by score.

    Attributes:
        ink: (NUM_BINS,) pixels that are ink.
        bare: likewise of those that are none.
    """

    ink: Array
    bare: Array

    @property
    def is_judged(self) -> bool:
        """Whether there are pixels of both classes."""
        return bool(self.ink.sum() > 0 and self.bare.sum() > 0)

    def auc(self) -> float:
        """Area under the ROC curve: how often ink scores higher than bare papyrus.

        Pairs in one bin count half (Hanley and McNeil 1982); NaN without both classes.
        """
        if not self.is_judged:
            return float("nan")
        below = np.cumsum(self.bare) - self.bare
        pairs = (self.ink * (below + 0.5 * self.bare)).sum()
        return float(pairs / (self.ink.sum() * self.bare.sum()))

    def precision_recall(self) -> tuple[Array, Array]:
        """Precision and recall at each threshold of `edges`; precision 1 where nothing is found."""
        true, false = _from(self.ink), _from(self.bare)
        found = true + false
        precision = np.divide(true, found, out=np.ones_like(true), where=found > 0)
        total = self.ink.sum()
        recall = true / total if total else np.zeros_like(true)
        return precision, recall

    def average_precision(self) -> float:
        """Sum over thresholds of the rise of recall times precision; NaN without ink."""
        if not self.ink.sum() > 0:
            return float("nan")
        precision, recall = self.precision_recall()
        rise = recall - np.append(recall[1:], 0.0)
        return float((rise * precision).sum())

    def f_beta(self, beta: float) -> Array:
        """F_beta at each threshold of `edges`; 0 where there is nothing to divide by.

        (1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP) = (1 + b^2) TP / (b^2 ink + found).
        """
        true, false = _from(self.ink), _from(self.bare)
        below = beta**2 * self.ink.sum() + true + false
        above = (1 + beta**2) * true
        values: Array = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        return values

    def best(self, beta: float) -> tuple[float, float]:
        """Largest F_beta and its threshold; NaN without ink, which nothing can be found of."""
        if not self.ink.sum() > 0:
            return float("nan"), float("nan")
        values = self.f_beta(beta)
        at = int(values.argmax())
        return float(values[at]), float(edges()[at])

    def calibration(self, parts: int = 10) -> dict[str, list[Any]]:
        """Of pixels by predicted probability: mean prediction, share of ink, number.

        Args:
            parts: intervals of equal width; those without a pixel are left out.
        """
        low = edges()
        middle = 1 / (1 + np.exp(-(-LIMIT + 2 * LIMIT * (np.arange(NUM_BINS) + 0.5) / NUM_BINS)))
        part = np.minimum((low * parts).astype(int), parts - 1)
        both = self.ink + self.bare
        found: dict[str, list[Any]] = {"predicted": [], "ink": [], "pixels": []}
        for p in range(parts):
            own = part == p
            pixels = both[own].sum()
            if pixels:
                found["predicted"].append(float((both[own] * middle[own]).sum() / pixels))
                found["ink"].append(float(self.ink[own].sum() / pixels))
                found["pixels"].append(int(pixels))
        return found

    def calibration_error(self, parts: int = 10) -> float:
        """Mean distance of the predicted probability from the share of ink; NaN without pixels.

        The expected calibration error (Naeini et al. 2015, AAAI 29), over the intervals of
        `calibration`, each weighed by its pixels.

        Args:
            parts: intervals of equal width.
        """
        found = self.calibration(parts)
        pixels = np.array(found["pixels"], np.float64)
        if not pixels.sum() > 0:
            return float("nan")
        gaps = np.abs(np.array(found["predicted"]) - np.array(found["ink"]))
        return float((pixels * gaps).sum() / pixels.sum())

    def curves(self, points: int = 200) -> dict[str, list[float]]:
        """Threshold, precision, recall, F0.5 and Dice, thinned out for figures and files."""
        chosen = np.unique(np.linspace(0, NUM_BINS - 1, points).astype(int))
        precision, recall = self.precision_recall()
        columns = {
            "threshold": edges(),
            "precision": precision,
            "recall": recall,
            "f05": self.f_beta(0.5),
            "dice": self.f_beta(1.0),
        }
        return {name: values[chosen].tolist() for name, values in columns.items()}


def _from(counts: Array) -> Array:
    """Pixels of each bin and all above it."""
    total: Array = np.cumsum(counts[::-1])[::-1]
    return total
