"""The most similar rows of each of some, in blocks."""

from __future__ import annotations

import numpy as np
import torch

from hpctrain.analysis.embeddings.blocks import Array, Vectors, blocks, unit

_QUERIES, _GALLERY = 1024, 16384


def nearest(queries: Array, gallery: Vectors, allowed: Array, k: int) -> tuple[Array, Array]:
    """The k most similar rows by cosine.

    Args:
        queries: (Q, D).
        gallery: (N, D).
        allowed: (N,) whether a row may be found.
        k: how many; of fewer allowed rows all are found.

    Returns:
        Similarities (Q, k), falling, and numbers of rows (Q, k).
    """
    k = min(k, int(np.count_nonzero(allowed)))
    own = torch.from_numpy(unit(queries))
    best = torch.full((len(own), k), -torch.inf, dtype=own.dtype)
    rows = torch.zeros((len(own), k), dtype=torch.int64)
    for start, block in blocks(gallery, _GALLERY):
        kept = np.flatnonzero(allowed[start : start + len(block)])
        if not len(kept) or not k:
            continue
        other = torch.from_numpy(unit(block[kept])).to(own.dtype)
        numbers = torch.from_numpy(kept + start)
        for at in range(0, len(own), _QUERIES):
            some = slice(at, at + _QUERIES)
            found, where = (own[some] @ other.T).topk(min(k, len(kept)), dim=1)
            found = torch.cat([best[some], found], dim=1)
            where = torch.cat([rows[some], numbers[where]], dim=1)
            best[some], order = found.topk(k, dim=1)
            rows[some] = where.gather(1, order)
    return best.numpy(), rows.numpy()
