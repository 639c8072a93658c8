"""Which rows a classifier learns from, and on which it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpctrain.analysis.embeddings.blocks import Array

LEARNT = -1
"""Rows that are only learnt from."""


@dataclass(frozen=True)
class Folds:
    """A fold of each row; it is judged by what was learnt from the rows of all others."""

    number: Array
    """(N,) from 0 on, or `LEARNT`."""
    how: str
    """In words."""

    @property
    def judged(self) -> list[int]:
        """Numbers of folds that are judged."""
        return [int(fold) for fold in np.unique(self.number) if fold >= 0]


def make_folds(
    splits: Sequence[str] | None, groups: Sequence[str] | None, count: int, num_rows: int
) -> Folds:
    """Take the index's split where it has one, else folds.

    Pictures of one day are alike; folds keep each day whole, so that no picture is judged by its
    neighbour of a minute before.

    Args:
        splits: `train`, `validation` and so on of each row; None: not to be used.
        groups: of each row, such as its day; empty texts or None: not known.
        count: of folds.
        num_rows: N.
    """
    if splits is not None:
        own = np.asarray(splits)
        if {"train", "validation"} <= set(splits):
            number = np.where(own == "train", LEARNT, 0)
            return Folds(number, "learnt from split train, judged on the others")
    if groups is not None and all(groups):
        names, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        if len(names) >= count:
            return Folds(_balanced(sizes, count)[codes], f"{count} folds of whole days")
    order = np.random.default_rng(0).permutation(num_rows)
    return Folds(order % count, f"{count} folds, drawn at random")


def _balanced(sizes: Array, count: int) -> Array:
    """A fold for each group: the largest groups first, each into the smallest fold."""
    filled, fold = np.zeros(count, np.int64), np.zeros(len(sizes), np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        fold[group] = filled.argmin()
        filled[fold[group]] += sizes[group]
    return fold
