"""Low-resolution fields that are made in memory: block means, or given files that are resampled.

A field is filled row by row along its file's slowest axis when a sample first needs the row, so
that a run over part of a file reads only that part; the newest fields are kept up to a bound.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from hpctrain.data.geometry import AxisPlan, Halo, Mode, Region, each_axis, plan_cells, wrap
from hpctrain.data.source import Array, FieldSource
from hpctrain.index.fields.grid import Triple

KEPT_BYTES = 1 << 30


def block_mean(fine: Array, factor: int) -> Array:
    """Mean over cubes of `factor` cells.

    Args:
        fine: (C, n0, n1, n2), each size a multiple of the factor.
        factor: cells of a cube along each axis.

    Returns:
        (C, n0 / factor, n1 / factor, n2 / factor).
    """
    for axis in (1, 2, 3):
        parts = [fine[(slice(None),) * axis + (slice(i, None, factor),)] for i in range(factor)]
        total = parts[0] + parts[1] if factor > 1 else parts[0]
        for part in parts[2:]:
            total += part
        fine = total
    return fine * np.float32(1.0 / factor**3)


class _Entry:
    """One file's low-resolution field and which of its rows are filled."""

    def __init__(self, shape: tuple[int, ...], rows: int) -> None:
        self.values = np.empty(shape, np.float32)
        self.has = np.zeros(rows, bool)
        self.lock = threading.Lock()


class CoarseFields:
    """Low-resolution fields of a source, kept in memory; safe for threads."""

    def __init__(
        self,
        source: FieldSource,
        shape: Triple,
        factor: int,
        modes: tuple[Mode, Mode, Mode],
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """Set up an empty store.

        Args:
            source: files that are read; its grid is `factor` times finer than `shape`.
            shape: cells of the low-resolution field.
            factor: 1 keeps what the source gives.
            modes: what lies outside of the field along each axis.
            kept_bytes: bound of the memory; one field is always kept.
        """
        self._source = source
        self._shape = shape
        self._factor = factor
        self._modes = modes
        self._entry_bytes = 4 * len(source.names) * int(np.prod(shape))
        self._max_entries = max(1, kept_bytes // self._entry_bytes)
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._plans: dict[tuple[int, int, int, int], AxisPlan] = {}

    def read(self, file: int, start: Triple, size: Triple, halo: Halo, out: Array) -> None:
        """Cut a region with a halo; cells outside are wrapped, mirrored or repeated.

        Args:
            file: number of the group of files.
            start: first cell.
            size: cells without the halo.
            halo: cells on each side of each axis.
            out: (C, n0, n1, n2) to fill.
        """
        margins = each_axis(halo)
        a, b, c = (self._plan(i, start[i], size[i], margins[i]) for i in range(3))
        region = Region((a, b, c))
        entry = self._entry(file)
        self._fill(file, entry, region.plans[self._source.slow_axis].cells)
        for to, cells in region.copies:
            out[to] = entry.values[cells]

    def forget(self, file: int) -> None:
        """Let go of one file's field."""
        with self._lock:
            self._entries.pop(file, None)

    def _plan(self, axis: int, start: int, size: int, halo: int) -> AxisPlan:
        key = (axis, start, size, halo)
        if key not in self._plans:
            cells = np.arange(start - halo, start + size + halo)
            self._plans[key] = plan_cells(wrap(cells, self._shape[axis], self._modes[axis]))
        return self._plans[key]

    def _entry(self, file: int) -> _Entry:
        with self._lock:
            if file not in self._entries:
                shape = (len(self._source.names), *self._shape)
                self._entries[file] = _Entry(shape, self._shape[self._source.slow_axis])
            self._entries.move_to_end(file)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)
            return self._entries[file]

    def _fill(self, file: int, entry: _Entry, rows: NDArray[np.intp]) -> None:
        if entry.has[rows].all():
            return
        with entry.lock:
            for row in np.unique(rows[~entry.has[rows]]).tolist():
                self._fill_row(file, entry, row)

    def _fill_row(self, file: int, entry: _Entry, row: int) -> None:
        slow, factor = self._source.slow_axis, self._factor
        fine = self._source.read_rows(file, row * factor, factor)
        place = [slice(None)] * 4
        place[slow + 1] = slice(row, row + 1)
        entry.values[tuple(place)] = block_mean(fine, factor)
        entry.has[row] = True
