"""True fields of a run's files: whole, in physical units, as no training ever sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.data import Fields
from hpctrain.data.source import Array, FieldSource
from hpctrain.index.fields.grid import Triple
from hpctrain.index.fields.plan import grid_of


class FieldTargets:
    """Target files, on the cells that samples are cut from."""

    def __init__(self, fields: Fields, root: Path, groups: Sequence[tuple[str, ...]]) -> None:
        """Open the first files and settle the grid.

        Args:
            fields: the `data:` block of the training.
            root: folder that relative paths start from.
            groups: files of each field, in the order of the training's patterns.

        Raises:
            DataError: files that cannot be read.
        """
        self._source = FieldSource(root, groups, fields, is_input=False)
        group = self._source.first.group
        grid = grid_of(fields, group, fields.shells, fields.grid, self._source.longitudes)
        self._axes = self._source.use(grid)
        self.shape: Triple = grid.shape

    def __len__(self) -> int:
        return len(self._source)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self._source.names

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the channels; empty where the file gives none."""
        return self._source.first.units or ("",) * len(self.variables)

    @property
    def radius_unit(self) -> str:
        """Unit of the first axis, as the first file has it; empty where it has none."""
        return self._source.radius_unit

    def coordinates(self) -> tuple[NDArray[np.float64] | None, ...]:
        """Centres of the cells along each axis; None where the files have none."""
        return tuple(axis.coordinates for axis in self._axes)

    def name(self, file: int) -> str:
        """Name of a field, as the index has it."""
        return self._source.label(file)

    def read(self, file: int, first: int, count: int) -> Array:
        """Some layers of a field.

        Args:
            file: number of the field.
            first: first layer along the first axis.
            count: how many.

        Returns:
            (C, count, n1, n2).

        Raises:
            DataError: a number that is not finite, with its place.
        """
        out = np.empty((len(self.variables), count, *self.shape[1:]), np.float32)
        region = self._source.region((first, 0, 0), (count, *self.shape[1:]))
        self._source.read(file, region, out)
        return out

    def close(self, file: int) -> None:
        """Forget the open files of a field, so that their pages count no longer as our memory."""
        self._source.close(file)
