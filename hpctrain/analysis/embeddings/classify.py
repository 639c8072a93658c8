"""How well a column of the index can be told from embeddings: nearest neighbours, linear probe."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from hpctrain.analysis.embeddings.blocks import Array, Vectors, sample_rows
from hpctrain.analysis.embeddings.folds import Folds
from hpctrain.analysis.embeddings.neighbours import nearest
from hpctrain.analysis.embeddings.retrieval import confidence

TEMPERATURE = 0.07
"""Of DINO's weighted vote (Caron et al. 2021, appendix F.1; after Wu et al. 2018)."""


@dataclass(frozen=True)
class Labels:
    """A column as classes."""

    name: str
    codes: Array
    """(N,) number of each row's class; -1: none."""
    values: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.values)

    def shuffled(self, seed: int = 0) -> Labels:
        """The same classes dealt out at random: what is told of them is chance."""
        codes = self.codes.copy()
        known = np.flatnonzero(codes >= 0)
        codes[known] = codes[np.random.default_rng(seed).permutation(known)]
        return Labels(self.name, codes, self.values)


@dataclass(frozen=True)
class Plan:
    """What is learnt from and judged in one fold."""

    learnt: Array
    """(N,) bool."""
    judged: Array
    """(Q,) rows."""


def plans(labels: Labels, folds: Folds, most: int | None = None) -> list[Plan]:
    """One for each fold in which there is something to learn and to judge."""
    known, found = labels.codes >= 0, []
    chosen = np.zeros(len(known), bool)
    chosen[sample_rows(len(known), most)] = True
    for fold in folds.judged:
        learnt = known & (folds.number != fold)
        judged = np.flatnonzero(known & (folds.number == fold) & chosen)
        if learnt.any() and len(judged):
            found.append(Plan(learnt, judged))
    return found


def vote(similarity: Array, codes: Array, num_classes: int) -> Array:
    """Classes (Q,) by the votes of neighbours, each weighing exp(similarity / 0.07).

    Args:
        similarity: (Q, K) cosines.
        codes: (Q, K) classes of the neighbours.
        num_classes: C.
    """
    weights = np.exp(similarity.astype(np.float64) / TEMPERATURE)
    total = np.zeros((len(codes), num_classes))
    np.add.at(total, (np.arange(len(codes))[:, None], codes), weights)
    return np.asarray(total.argmax(axis=1))


def neighbour_lists(x: Vectors, parts: Sequence[Plan], k: int) -> list[tuple[Array, Array]]:
    """Similarities and rows of the neighbours of each plan's rows, see `nearest`."""
    return [nearest(np.asarray(x[part.judged]), x, part.learnt, k) for part in parts]


def by_neighbours(
    labels: Labels, parts: Sequence[Plan], lists: Sequence[tuple[Array, Array]]
) -> dict[str, Any]:
    """Judge the vote of nearest neighbours."""
    guesses = [vote(s, labels.codes[rows], labels.num_classes) for s, rows in lists]
    return judge(labels, parts, guesses)


def by_probe(
    x: Vectors, labels: Labels, parts: Sequence[Plan], most: int | None = 20_000, seed: int = 0
) -> dict[str, Any]:
    """Judge multinomial logistic regression on standardised embeddings.

    Args:
        x: (N, D).
        labels: what is told.
        parts: what is learnt and judged.
        most: rows that are learnt from, drawn where there are more; None: all.
        seed: of that draw.
    """
    guesses, is_converged = [], True
    for part in parts:
        rows = np.flatnonzero(part.learnt)
        rows = rows[sample_rows(len(rows), most, seed)]
        own, codes = np.asarray(x[rows], np.float32), labels.codes[rows]
        mean, deviation = own.mean(axis=0), own.std(axis=0)
        deviation[deviation == 0] = 1
        if len(np.unique(codes)) < 2:  # nothing to choose from
            guesses.append(np.full(len(part.judged), codes[0]))
            continue
        model = LogisticRegression(max_iter=300, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit((own - mean) / deviation, codes)
        is_converged &= int(np.max(model.n_iter_)) < model.max_iter
        guesses.append(model.predict((np.asarray(x[part.judged]) - mean) / deviation))
    return {**judge(labels, parts, guesses), "is_converged": bool(is_converged)}


def by_group(labels: Labels, parts: Sequence[Plan], groups: Array) -> dict[str, Any]:
    """Judge the guess that knows each row's group alone, such as its pointing.

    A row of a group that was not learnt gets the most frequent class of all.
    """
    guesses = []
    for part in parts:
        table = np.zeros((int(groups.max(initial=-1)) + 2, labels.num_classes))
        np.add.at(table, (groups[part.learnt], labels.codes[part.learnt]), 1)
        every = table.sum(axis=0)
        best = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), every.argmax())
        guesses.append(best[groups[part.judged]])
    return judge(labels, parts, guesses)


def judge(labels: Labels, parts: Sequence[Plan], guesses: Sequence[Array]) -> dict[str, Any]:
    """Accuracy, its mean over classes, and the share of the most frequent class; by rows judged."""
    if not parts:
        return {"judged": 0}
    truth = np.concatenate([labels.codes[part.judged] for part in parts])
    guess = np.concatenate(list(guesses))
    right = truth == guess
    by_class = [float(right[truth == c].mean()) for c in np.unique(truth)]
    low, high = confidence(float(right.mean()), len(right))
    counts = np.bincount(truth, minlength=labels.num_classes)
    return {
        "judged": len(right),
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": float(np.mean(by_class)),
        "most_frequent": float(counts.max() / counts.sum()),
    }


def too_small(labels: Labels, folds: Folds) -> list[str]:
    """Classes that cannot be judged fairly: never learnt from, or never judged, in some fold."""
    small = []
    for code, value in enumerate(labels.values):
        number = folds.number[labels.codes == code]
        is_judged = bool((number >= 0).any())
        is_learnt = all((number != fold).any() for fold in folds.judged if (number == fold).any())
        if not is_judged or not is_learnt or len(number) < 2:
            small.append(value)
    return small
