"""Embeddings of some held-out pairs: do modalities find each other, and has anything collapsed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hpctrain.config.alarms import PairAlarms
from hpctrain.config.pair_training import FEWEST, Watch
from hpctrain.data.pairs import PairBatch, PairDataset
from hpctrain.errors import ConfigError
from hpctrain.tasks.pairs.networks import MODALITIES
from hpctrain.train.alarms import Alarm, few_directions, like_embeddings

_SHARPNESS = 0.07
"""Temperature of the votes of neighbours (Wu et al. 2018, arXiv 1805.01978, section 3.4)."""


class Watched:
    """Held-out pairs that are spread over the validation.

    Args:
        dataset: the validation pairs.
        settings: how many, and what neighbours are to tell.

    Raises:
        ConfigError: too few pairs, or a column that tells nothing of them.
    """

    def __init__(self, dataset: PairDataset, settings: Watch) -> None:
        if len(dataset) < FEWEST:
            raise ConfigError(
                f"data: {len(dataset)} validation pairs, and {FEWEST} at least are wanted to "
                "compare them; hold out more with `hpctrain index split`"
            )
        count = min(settings.samples, len(dataset))
        spread = np.linspace(0, len(dataset) - 1, count).round().astype(int)
        self.numbers = {int(i): n for n, i in enumerate(dict.fromkeys(spread))}
        self.settings = settings
        self.labels = _labels(dataset, list(self.numbers), settings.column)

    def rows(self, batch: PairBatch, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rows of a batch that are watched, among zeros: sums over batches and ranks hold all.

        Args:
            batch: whose samples they are.
            found: (B, D) by name.
        """
        places = [(n, self.numbers[i]) for n, i in enumerate(batch.ids) if i in self.numbers]
        if not places:
            return {}
        own, where = (list(part) for part in zip(*places, strict=True))
        sums = {}
        for name, values in found.items():
            whole = torch.zeros(len(self.numbers), values.shape[1], dtype=torch.float64)
            whole[where] = values[own].double().cpu()
            sums[name] = whole
        return sums

    def scalars(
        self, embeddings: Mapping[str, Tensor], compared: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Numbers of the validation.

        Args:
            embeddings: (M, D) of each modality.
            compared: (M, D) in which modalities are to find each other.
        """
        scalars = {}
        for a, b in (MODALITIES, MODALITIES[::-1]):
            scalars[f"r1_{a}_to_{b}"] = first_share(compared[a], compared[b])
        for m in MODALITIES:
            scalars[f"std_{m}"] = relative_std(embeddings[m])
            scalars[f"effective_rank_{m}"] = effective_rank(embeddings[m])
            if self.labels is not None:
                k = self.settings.neighbours
                scalars[f"knn_{m}"] = neighbour_share(embeddings[m], self.labels, k)
        return scalars

    def chances(self) -> dict[str, float]:
        """What blind guesses would reach: of one pair among all, and of the commonest label."""
        found = {"r1": 1 / len(self.numbers)}
        if self.labels is not None:
            found["knn"] = float(torch.bincount(self.labels).max()) / len(self.labels)
        return found


def alarms_of(scalars: Mapping[str, float], limits: PairAlarms, rows: int) -> list[Alarm]:
    """What the numbers of `Watched.scalars` say of a collapse.

    Args:
        scalars: these numbers.
        limits: thresholds.
        rows: pairs that they were measured of.
    """
    found = []
    for m in MODALITIES:
        found += like_embeddings(m, scalars[f"std_{m}"], limits.embedding_std)
        found += few_directions(m, scalars[f"effective_rank_{m}"], limits.effective_rank, rows)
    return found


def first_share(queries: Tensor, others: Tensor) -> float:
    """R@1: share of the rows whose most alike row of the other modality is their own."""
    likeness = F.normalize(queries, dim=1) @ F.normalize(others, dim=1).T
    own = likeness.diagonal()[:, None]
    # a tie is no hit: where all look alike nothing was found
    is_first = (likeness >= own).sum(1) == 1
    return float(is_first.double().mean())


def relative_std(x: Tensor) -> float:
    """Standard deviation of rows of length 1, times the root of their size; 1 fills the sphere."""
    return float(F.normalize(x, dim=1).std(0).mean()) * math.sqrt(x.shape[1])


def spectrum(x: Tensor) -> Tensor:
    """Shares of the variance along the principal axes, from the largest; their sum is 1 or 0."""
    values: Tensor = torch.linalg.svdvals(x - x.mean(0)).square()
    return values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)


def effective_rank(x: Tensor) -> float:
    """Exp of the entropy of the singular values' shares, of centred rows.

    Source: Roy and Vetterli 2007, "The effective rank", definition 1. 0 where all rows are equal.
    """
    values = torch.linalg.svdvals(x - x.mean(0))
    total = values.sum()
    if not total > 0:
        return 0.0
    return float(torch.exp(torch.special.entr(values / total).sum()))


def neighbour_share(x: Tensor, labels: Tensor, neighbours: int) -> float:
    """Share of the rows whose nearest others vote for their label; any numbers of rows and labels.

    Args:
        x: (M, D).
        labels: (M,) from 0 on.
        neighbours: that vote, weighed by their likeness.
    """
    unit = F.normalize(x, dim=1)
    likeness = (unit @ unit.T).fill_diagonal_(-math.inf)
    best = likeness.topk(min(neighbours, len(x) - 1), dim=1)
    votes = torch.zeros(len(x), int(labels.max()) + 1, dtype=x.dtype)
    votes.scatter_add_(1, labels[best.indices], torch.exp(best.values / _SHARPNESS))
    return float((votes.argmax(1) == labels).double().mean())


def _labels(dataset: PairDataset, numbers: Sequence[int], column: str | None) -> Tensor | None:
    if column is None:
        return None
    known: Any = dataset.rows[0].columns.names
    if column not in known:
        raise ConfigError(
            f"train.watch.column: the index has no column {column!r}; choose from "
            f"{', '.join(known)}"
        )
    values = [dataset.rows[i][column] for i in numbers]
    classes = {value: n for n, value in enumerate(dict.fromkeys(values))}
    if len(classes) < 2:
        raise ConfigError(
            f"train.watch.column: all {len(values)} watched validation pairs have the {column} "
            f"{values[0]!r}, so that there is nothing to tell; choose another column, or null"
        )
    return torch.tensor([classes[value] for value in values])
