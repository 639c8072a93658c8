"""What is measured of training pictures once: the edges of temperature bins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.pair_data import Four, TemperatureBins
from hpctrain.errors import DataError

_OUTER = (0.001, 0.999)
"""Quantiles that are the outer edges where only clouds are given."""


@dataclass(frozen=True)
class PairScales:
    """Edges of the bins in degrees; None: no channel has bins."""

    edges: Four | None = None

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"edges": None if self.edges is None else list(self.edges)}

    @classmethod
    def from_dict(cls, page: Mapping[str, Any]) -> PairScales:
        """Out of a checkpoint."""
        edges = page["edges"]
        return cls(None if edges is None else (edges[0], edges[1], edges[2], edges[3]))


def measure_edges(bins: TemperatureBins, pictures: Iterable[NDArray[np.float32]]) -> Four:
    """Edges of three bins of temperature.

    Args:
        bins: how they are found.
        pictures: some of the training's, in degrees; read only where they are needed.

    Raises:
        DataError: two edges are equal.
    """
    if bins.edges is not None:
        return bins.edges
    values = np.concatenate([picture.reshape(-1) for picture in pictures])
    if bins.clouds is not None:
        low, high = (float(n) for n in np.quantile(values, _OUTER))
        edges = min(low, bins.clouds[0] - 1), *bins.clouds, max(high, bins.clouds[1] + 1)
    else:
        assert bins.quantiles is not None
        a, b, c, d = (float(n) for n in np.quantile(values, bins.quantiles))
        edges = a, b, c, d
    if not edges[0] < edges[1] < edges[2] < edges[3]:
        raise DataError(
            f"data.thermal.bins: edges {[round(e, 2) for e in edges]} were measured, of which two "
            "are equal; give quantiles that are farther apart, or edges"
        )
    return edges
