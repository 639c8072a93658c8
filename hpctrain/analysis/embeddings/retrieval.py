"""Retrieval across modalities: where the twin of each image is among all images of the other.

Only blocks of similarities are ever in memory. Ties count as drawn at random: a collapsed network
finds what chance finds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hpctrain.analysis.embeddings.blocks import Array, Chosen, Vectors, blocks, unit

RECALLS = (1, 5)
_QUERIES, _GALLERY = 1024, 16384
"""Of a block of similarities: 64 MB in float32."""
_AT_ONCE = 1 << 16
"""Queries that are kept in memory."""
_NUMBERS = 1 << 27
"""Most numbers of those queries, and eight times those of a block of the gallery: what is behind
expanders is wide."""


@dataclass(frozen=True)
class Found:
    """Where the twins of queries are."""

    greater: Array
    """(Q,) images that are more similar than the twin."""
    ties: Array
    """(Q,) others that are as similar."""
    gallery: Array
    """(Q,) images that were compared, the twin among them."""

    @property
    def ranks(self) -> Array:
        """(Q,) from 1 on, in the middle of ties."""
        return np.asarray(1 + self.greater + self.ties / 2)

    def recall(self, k: int) -> float:
        """Share of queries whose twin is among the first k."""
        return float(np.clip((k - self.greater) / (self.ties + 1), 0, 1).mean())

    def chance(self, k: int) -> float:
        """What guessing among the same images finds."""
        return float(np.minimum(1, k / self.gallery).mean())

    def numbers(self) -> dict[str, float]:
        """R@1, R@5 with limits of confidence and chance, median rank and what chance gives."""
        count = len(self.greater)
        if not count:
            return {"queries": 0}
        found: dict[str, float] = {"queries": count, "gallery": float(self.gallery.mean())}
        for k in RECALLS:
            own = self.recall(k)
            low, high = confidence(own, count)
            found |= {f"r@{k}": own, f"r@{k}_low": low, f"r@{k}_high": high}
            found[f"r@{k}_chance"] = self.chance(k)
        found["median_rank"] = float(np.median(self.ranks))
        found["median_rank_chance"] = float(np.median((self.gallery + 1) / 2))
        return found


def confidence(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Limits between which a share of so many lies in 95 of 100 cases (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def find_twins(x: Vectors, y: Vectors, queries: Array, twins: Array | None = None) -> Found:
    """Compare rows of x with all rows of y by cosine.

    Args:
        x: (N, D) of one modality.
        y: (M, D) of the other.
        queries: (Q,) rows of x.
        twins: (Q,) rows of y that belong to them; None: the same numbers.
    """
    twins = queries if twins is None else twins
    greater, ties = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
    width = max(1, y.shape[1])
    at_once, size = min(_AT_ONCE, _NUMBERS // width), min(_GALLERY, _NUMBERS // 8 // width)
    for part in _parts(len(queries), max(1, at_once)):
        own = unit(np.asarray(x[queries[part]]))
        right = np.einsum("ij,ij->i", own, unit(np.asarray(y[twins[part]])))
        # rounding of a product of unit vectors, whichever way it was summed up
        margin = np.finfo(own.dtype).eps * 16
        for _, block in blocks(y, max(1, size)):
            other = unit(block).T
            for some in _parts(len(own), _QUERIES):
                at = slice(part.start + some.start, part.start + some.stop)
                above, below = _count(own[some] @ other, right[some], margin)
                greater[at] += above
                ties[at] += below
    # each twin is as similar as itself
    return Found(greater, np.maximum(ties - 1, 0), np.full(len(queries), y.shape[0]))


def find_within(x: Vectors, y: Vectors, queries: Array, groups: Array) -> Found:
    """Compare rows of x only with rows of y of the same group, such as the same pointing.

    Args:
        x: (N, D) of one modality.
        y: (N, D) of the other.
        queries: (Q,) rows.
        groups: (N,) numbers; rows with less than 0, and those alone in theirs, are left out.
    """
    found = []
    for group in np.unique(groups[queries]):
        members = np.flatnonzero(groups == group)
        own = np.intersect1d(queries, members)
        if group >= 0 and len(members) > 1:
            at = np.searchsorted(members, own)
            found.append(find_twins(Chosen(x, members), Chosen(y, members), at))
    empty = np.empty(0, np.int64)
    return Found(
        np.concatenate([empty, *(f.greater for f in found)]),
        np.concatenate([empty, *(f.ties for f in found)]),
        np.concatenate([empty, *(f.gallery for f in found)]),
    )


def only_groups(queries: Array, groups: Array) -> Found:
    """What a network would find that knows each image's group and nothing else."""
    counts = np.bincount(groups[groups >= 0], minlength=1)
    own = groups[queries]
    members = counts[own[own >= 0]]
    known = np.full(len(members), len(groups))
    return Found(np.zeros(len(members), np.int64), members - 1, known)


def _count(similarity: Array, right: Array, margin: float) -> tuple[Array, Array]:
    high = np.count_nonzero(similarity > (right + margin)[:, None], axis=1)
    low = np.count_nonzero(similarity >= (right - margin)[:, None], axis=1)
    return high, low - high


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(at, min(at + size, count)) for at in range(0, count, size))
