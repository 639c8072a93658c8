"""A picture of the region that is validated on, out of windows of all ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpctrain.data.scroll import ScrollBatch
from hpctrain.data.scroll.dataset import ScrollDataset
from hpctrain.formats.picture import read_picture
from hpctrain.index import Index

_LARGEST = 512
"""Cells of a side at most: sums over ranks stay small, whatever the region is."""


@dataclass(frozen=True)
class Region:
    """Part of one volume, in cells of `factor` pixels.

    Attributes:
        source: name of the volume.
        rows: [start, stop) in pixels.
        columns: likewise.
    """

    source: str
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def factor(self) -> int:
        """Pixels of a cell along each side."""
        longest = max(b - a for a, b in (self.rows, self.columns))
        return -(-longest // _LARGEST)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along y and x."""
        (a, b), (c, d) = self.rows, self.columns
        return -(-(b - a) // self.factor), -(-(d - c) // self.factor)

    def sums(self, batch: ScrollBatch, probability: Tensor) -> dict[str, Tensor]:
        """Sums by cell over the pixels of a batch that count; on the CPU, the same in each run.

        On a GPU a weighted count adds up in any order, and `deterministic: true` refuses it.

        Args:
            batch: windows, not turned, with labels.
            probability: (B, H, W).
        """
        assert batch.label is not None
        h, w = probability.shape[1:]
        own = [i for i, name in enumerate(batch.sources) if name == self.source]
        origins = batch.origins[own].cpu()
        y = origins[:, 1, None] + torch.arange(h) - self.rows[0]
        x = origins[:, 2, None] + torch.arange(w) - self.columns[0]
        cells_y, cells_x = self.shape
        y, x = y // self.factor, x // self.factor
        inside = ((y >= 0) & (y < cells_y))[:, :, None] & ((x >= 0) & (x < cells_x))[:, None]
        where = y[:, :, None] * cells_x + x[:, None]
        counted = batch.mask[own].cpu() & inside
        where = torch.where(counted, where, 0).flatten()
        weight = counted.flatten().double()
        size = cells_y * cells_x

        def total(values: Tensor) -> Tensor:
            values = torch.where(counted, values[own].cpu(), 0).flatten().double()
            return torch.bincount(where, values, size).view(self.shape)

        return {
            "region/count": torch.bincount(where, weight, size).view(self.shape),
            "region/probability": total(probability),
            "region/label": total(batch.label),
        }

    def pictures(self, sums: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
        """Mean probability and label of each cell; NaN where nothing was seen."""
        count = sums["region/count"].numpy()
        return {
            name: np.where(count > 0, sums[f"region/{name}"].numpy() / np.maximum(count, 1), np.nan)
            for name in ("probability", "label")
        }


def region_of(dataset: ScrollDataset) -> Region:
    """What the windows of the first volume cover."""
    places = [dataset.place(i, 0) for i in range(len(dataset))]
    first = places[0].volume
    origins = np.array([place.origin for place in places if place.volume == first])
    (_, y, x), (_, bottom, right) = origins.min(0), origins.max(0) + dataset.scroll.window
    return Region(dataset.volumes[first].source, (int(y), int(bottom)), (int(x), int(right)))


def infrared_of(region: Region, index: Index) -> NDArray[np.float64] | None:
    """The infrared picture of a region, by cells; None where its volume has none.

    Args:
        region: which.
        index: what the run reads.

    Raises:
        DataError: the picture cannot be read.
    """
    rows = [row for row in index.rows if row["source"] == region.source]
    files = rows[0].paths("infrared") if rows else []
    if not files:
        return None
    picture = read_picture(index.root / files[0])
    (a, b), (c, d) = region.rows, region.columns
    part = picture[a:b, c:d].astype(np.float64)
    part = part if part.ndim == 2 else part[..., :3].mean(-1)
    f, (height, width) = region.factor, region.shape
    bottom, right = height * f - part.shape[0], width * f - part.shape[1]
    padded = np.pad(part, ((0, max(0, bottom)), (0, max(0, right))), mode="edge")
    whole = padded[: height * f, : width * f].reshape(height, f, width, f)
    cells: NDArray[np.float64] = whole.mean((1, 3))
    return cells
