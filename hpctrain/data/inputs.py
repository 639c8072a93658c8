"""Fields that a trained network is applied to: whole files, of which any region can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.data import Fields
from hpctrain.data.coarse import CoarseFields
from hpctrain.data.geometry import modes_of, rotate_longitude
from hpctrain.data.scales import Scales
from hpctrain.data.source import Array, FieldSource
from hpctrain.errors import DataError
from hpctrain.index.fields.grid import Triple, coarse_options, coarse_shape
from hpctrain.index.fields.plan import grid_of

Coordinates = NDArray[np.float64]

_MOST_READ = 1 << 26
"""Bytes that are read of a sample before its files are closed and opened anew."""


class FieldInputs:
    """Input fields of some samples, normalised as in the training."""

    def __init__(
        self,
        fields: Fields,
        factor: int,
        root: Path,
        groups: Sequence[tuple[str, ...]],
        scales: Scales,
        *,
        is_coarsened: bool,
    ) -> None:
        """Open the first files and settle the grid.

        Args:
            fields: the `data:` block of the training.
            factor: output cells an input cell along each axis.
            root: folder that relative paths start from.
            groups: files of each sample, in the order of the training's patterns.
            scales: of the training.
            is_coarsened: the files are `factor` times finer than the inputs, which are their block
                means; else they are inputs themselves.

        Raises:
            DataError: files that cannot be read, or other variables than those trained on.
        """
        self.fields, self.factor, self.scales = fields, factor, scales
        self._source = FieldSource(root, groups, fields, is_input=not is_coarsened)
        self._check_names()
        group, where = self._source.first.group, str(self._source.paths(0)[0])
        shells, cells = fields.shells, fields.grid
        if not is_coarsened:
            shells, cells = coarse_options(shells, cells, factor)
        grid = grid_of(fields, group, shells, cells, self._source.longitudes)
        self._axes = self._source.use(grid)
        self.modes = modes_of(fields)
        self.shape: Triple = grid.shape
        self._coarse: CoarseFields | None = None
        step = factor if is_coarsened else 1
        if step > 1:
            self.shape = coarse_shape(where, grid, factor)
        if step > 1 or grid.is_resampled:
            self._coarse = CoarseFields(self._source, self.shape, step, self.modes)
        self._is_coarsened = is_coarsened
        self._in_use: int | None = None
        self._read_bytes, self._finer = 0, step**3
        self.frame = self._find_frame()

    def __len__(self) -> int:
        return len(self._source)

    @property
    def num_channels(self) -> int:
        """Channels of an input."""
        return len(self._source.names)

    def paths(self, sample: int) -> list[Path]:
        """The files of a sample."""
        return self._source.paths(sample)

    def units(self) -> dict[str, str]:
        """Units of the variables as the files have them."""
        named = zip(self.scales.for_inputs.names, self._source.first.units, strict=True)
        return {name: unit for name, unit in named if unit}

    def coordinates(self) -> tuple[Coordinates | None, ...]:
        """Centres of the output's cells along each axis; None where the files have none."""
        known = [axis.coordinates for axis in self._axes]
        if self._is_coarsened:
            return tuple(known)
        return tuple(None if x is None else refined(x, self.factor) for x in known)

    def coordinate_units(self) -> dict[str, str]:
        """Units of the coordinates, by the files' own names of the axes."""
        header = self._source.first.group.headers[0]
        found = {}
        for name in self.dims:
            array = header.array(name)
            unit = "" if array is None else str(array.attributes.get("units", ""))
            if unit:
                found[name] = unit
        return found

    @property
    def dims(self) -> tuple[str, str, str]:
        """The files' own names of the axes."""
        return self._source.first.group.layouts[0].dims

    def read(self, sample: int, start: Triple, size: Triple, halo: Triple) -> Array:
        """A region of an input with its halo, normalised; cells outside are as in the training.

        Returns:
            (C, n0, n1, n2).

        Raises:
            DataError: a number that is not finite, with its place.
        """
        shape = (n + 2 * h for n, h in zip(size, halo, strict=True))
        out = np.empty((self.num_channels, *shape), np.float32)
        if self._coarse is not None:
            self._coarse.read(sample, start, size, halo, out)
        else:
            self._source.read(sample, self._source.region(start, size, halo), out)
        self._read_bytes += out.nbytes * self._finer
        self._turn(out, start, -1)
        self.scales.for_inputs.normalize_(out, self._source.label(sample))
        return out

    def turn_back(self, field: Array, start: Triple) -> None:
        """Turn vx, vy of physical output at `start` back to the globe's frame, in place."""
        self._turn(field, start, 1)

    def let_go(self, sample: int) -> None:
        """Called between regions: forget open files before their pages count as too much memory.

        Opening them anew costs up to some milliseconds, more than a small tile. So those of one
        sample stay open until so much was read of them, and all others are closed.

        Args:
            sample: that was read last.
        """
        if self._in_use not in (sample, None) or self._read_bytes > _MOST_READ:
            self.close()
        self._in_use = sample

    def close(self) -> None:
        """Forget the open files."""
        if self._in_use is not None:
            self._source.close(self._in_use)
        self._in_use, self._read_bytes = None, 0

    def release(self, sample: int) -> None:
        """Let go of all that is kept of a sample; it is read anew on need."""
        self._source.close(sample)
        if self._coarse is not None:
            self._coarse.forget(sample)

    def _turn(self, field: Array, start: Triple, sense: int) -> None:
        if self.frame is not None:
            angle = sense * self._direction * 2 * math.pi * start[2] / self.shape[2]
            rotate_longitude(field, angle, self.frame)

    def check_directions(self, known: tuple[int, int, int]) -> None:
        """Compare with the files of the training: a mirrored field would look like another one.

        Args:
            known: see `directions_of`.

        Raises:
            DataError: an axis runs the other way.
        """
        found = directions_of([axis.coordinates for axis in self._axes])
        for name, own, theirs in zip(self.dims, found, known, strict=True):
            if own * theirs < 0:
                words = {1: "rises", -1: "falls"}
                raise DataError(
                    f"{self.paths(0)[0]}: {name} {words[own]}, and in the files of the training it "
                    f"{words[theirs]}; turn the axis and its variables round"
                )

    def _check_names(self) -> None:
        found, known = self._source.names, self.scales.for_inputs.names
        where = self._source.paths(0)[0]
        kinds = {header.kind for header in self._source.first.group.headers}
        if len(found) != len(known) or (kinds != {"npy"} and found != known):
            raise DataError(
                f"{where}: has {len(found)} channel{'s' * (len(found) != 1)} ({', '.join(found)}), "
                f"but the network was trained on {len(known)} ({', '.join(known)}); give files "
                "with these variables, or name the right ones with data.variables in a new run"
            )

    def _find_frame(self) -> tuple[int, int] | None:
        """Where vx and vy are, if the training turned them into each slab's own frame."""
        names = self.scales.for_inputs.names
        if self.fields.geometry != "sphere" or not self.fields.augment.roll_longitude:
            return None
        if "vx" not in names or "vy" not in names or names != self.scales.names:
            return None
        longitudes = self._source.longitudes
        self._direction = -1 if longitudes and longitudes[-1] < longitudes[0] else 1
        return names.index("vx"), names.index("vy")


def directions_of(coordinates: Sequence[Coordinates | None]) -> tuple[int, int, int]:
    """Of each axis: 1 where its coordinates rise, -1 where they fall, 0 where that is not known."""
    a, b, c = (0 if x is None or len(x) < 2 else (1 if x[-1] > x[0] else -1) for x in coordinates)
    return a, b, c


def refined(x: Coordinates, factor: int) -> Coordinates:
    """Centres of cells `factor` times finer than those with centres x.

    Between centres they lie evenly, beyond the last ones as between the last two; evenly spaced
    cells are divided evenly.
    """
    if factor == 1 or len(x) < 2:
        return np.repeat(x, factor)
    places = (np.arange(len(x) * factor) + 0.5) / factor - 0.5
    lower = np.clip(np.floor(places).astype(np.intp), 0, len(x) - 2)
    fine: Coordinates = x[lower] + (places - lower) * (x[lower + 1] - x[lower])
    return fine
