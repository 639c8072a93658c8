"""In which vectors the modalities of a store are compared, and over which rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpctrain.analysis.embeddings.folds import LEARNT, Folds
from hpctrain.embed.store import EXPANDED, Store


@dataclass(frozen=True)
class Space:
    """Vectors of two modalities that cosines can compare."""

    branches: Mapping[str, str]
    """Name of the branch of each modality; empty: there are none."""
    words: str
    """Which vectors these are, or why there are none."""
    is_expanded: bool = False
    """Whether they are those behind the expanders."""

    @property
    def title(self) -> str:
        """Put behind the titles of figures."""
        return ", expanded" if self.is_expanded else ""


@dataclass(frozen=True)
class Parts:
    """Rows on which retrieval is judged, and those that were trained on."""

    held: NDArray[np.int64]
    """Those of other splits than train; all, where the index has no splits."""
    learnt: NDArray[np.int64]
    words: str


def encoders_of(store: Store) -> list[str]:
    """Branches of the encoders' own vectors."""
    return [name for name in store.dims if not name.endswith(EXPANDED)]


def space_of(store: Store) -> Space:
    """Where modalities are compared.

    VICReg with a network and an expander of each modality makes only what the expanders say alike:
    the networks' own vectors have axes of their own, and cosines between them mean nothing.
    """
    names, networks = encoders_of(store)[:2], store.facts.get("networks") or {}
    behind = {name: f"{name}{EXPANDED}" for name in names}
    if len(names) < 2:
        return Space({}, "there is one modality alone")
    if set(behind.values()) <= set(store.dims):
        words, is_expanded = "vectors behind the expanders, which the loss makes alike", True
    else:
        behind, is_expanded = {name: name for name in names}, False
        words = "vectors of the encoders"
        own = {networks.get(name) for name in names}
        if None not in own and len(own) > 1:
            return Space(
                {},
                "each modality has a network of its own, whose vectors no loss made alike; of "
                "VICReg `hpctrain embed --overwrite` adds those behind the expanders",
            )
    if len({store.dims[name] for name in behind.values()}) > 1:
        return Space({}, "branches of unequal dimensions cannot be searched by each other")
    return Space(behind, words, is_expanded)


def parts_of(folds: Folds) -> Parts:
    """Rows that were not trained on, as far as the index tells."""
    learnt = np.flatnonzero(folds.number == LEARNT)
    words = "pairs that were not trained on" if len(learnt) else "all pairs; there are no splits"
    return Parts(np.flatnonzero(folds.number != LEARNT), learnt, words)
