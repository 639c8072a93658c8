"""Windows of a segment, row by row of windows: weighted sums of as many rows as a window has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpctrain.predict.segment.source import Segment
from hpctrain.predict.segment.windows import AxisWindows

Predict = Callable[[Sequence[NDArray[np.float32]]], NDArray[np.float32]]


class _Batch(NamedTuple):
    columns: list[int]
    """Numbers of the windows along x."""
    views: list[list[NDArray[np.float32]]]
    """These windows, at each depth."""


class Bands:
    """The bands of rows of one segment, each the weighted mean of all windows over it.

    A pixel's windows are added in one order whatever band is asked for first, and windows are
    predicted in the same company, so that any share of the bands gives the same bits.

    Args:
        segment: what is read.
        rows: windows along y.
        columns: windows along x.
        predict: probabilities of windows.
        at_once: places of windows along x that are predicted together.
        depths: first layers of windows among those that are read, of which the mean is taken.
    """

    def __init__(
        self,
        segment: Segment,
        rows: AxisWindows,
        columns: AxisWindows,
        predict: Predict,
        at_once: int,
        depths: Sequence[int] = (0,),
    ) -> None:
        self._depths = depths
        self._segment, self._rows, self._columns = segment, rows, columns
        self._predict, self._at_once = predict, at_once
        width = max(columns.size, columns.window)
        self._sum = np.zeros((rows.window, width), np.float32)
        self._weight = np.zeros_like(self._sum)
        self._next = self._top = -1
        """The row of windows that is to be added next; all before it are in the sums."""

    def compute(
        self, numbers: Sequence[int], after_window: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Bands and their probabilities (rows, columns); NaN where no papyrus is.

        Neighbours are cheap: a band that does not follow the one before needs all rows of windows
        over it anew.

        Args:
            numbers: of the bands, rising.
            after_window: called for each window that was predicted.
        """
        with ThreadPoolExecutor(1) as pool:
            for number in numbers:
                if number != self._next:
                    self._begin(self._rows.first_over(number))
                while self._next <= number:
                    self._add(self._next, pool, after_window)
                first, stop = self._rows.band(number)
                yield number, self._mean(first, stop)

    def windows_of(self, number: int) -> int:
        """How many windows a row of them has, without those off the papyrus."""
        return sum(self._is_seen(number, column) for column in range(len(self._columns.starts)))

    def _begin(self, number: int) -> None:
        self._sum[...] = 0
        self._weight[...] = 0
        self._next, self._top = number, self._rows.starts[number]

    def _add(self, number: int, pool: ThreadPoolExecutor, after_window: Callable[[], None]) -> None:
        """Add a row of windows; the sums begin at its first row of pixels."""
        self._move(self._rows.starts[number])
        down = self._rows.weights(number)[:, None]
        for batch in self._batches(number, pool):
            found = self._mean_view(batch.views)
            for column, values in zip(batch.columns, found, strict=True):
                x = self._columns.starts[column]
                part = slice(x, x + self._columns.window)
                weights = down * self._columns.weights(column)
                self._sum[:, part] += weights * values
                self._weight[:, part] += weights
                after_window()
        self._next = number + 1

    def _mean_view(self, views: Sequence[Sequence[NDArray[np.float32]]]) -> NDArray[np.float32]:
        found = self._predict(views[0])
        for windows in views[1:]:
            found = found + self._predict(windows)
        return found / np.float32(len(views)) if len(views) > 1 else found

    def _move(self, top: int) -> None:
        """Let the sums begin at another row further down."""
        step = top - self._top
        for sums in (self._sum, self._weight):
            if step:
                sums[:-step] = sums[step:].copy()
                sums[-step:] = 0
        self._top = top

    def _mean(self, first: int, stop: int) -> NDArray[np.float32]:
        width = self._columns.size
        rows = slice(first - self._top, stop - self._top)
        total, weight = self._sum[rows, :width], self._weight[rows, :width]
        known = weight > 0
        if self._segment.mask is not None:
            known &= self._segment.mask[first:stop]
        mean = np.full(total.shape, np.nan, np.float32)
        np.divide(total, weight, out=mean, where=known)
        return mean

    def _batches(self, number: int, pool: ThreadPoolExecutor) -> Iterator[_Batch]:
        """Windows of a row, read while those before them are predicted."""
        count = len(self._columns.starts)
        chunks = []
        for first in range(0, count, self._at_once):
            own = [i for i in range(first, min(first + self._at_once, count))]
            own = [i for i in own if self._is_seen(number, i)]
            if own:
                chunks.append(own)
        ahead = pool.submit(self._read, number, chunks[0]) if chunks else None
        for i in range(len(chunks)):
            assert ahead is not None
            batch = ahead.result()
            if i + 1 < len(chunks):
                ahead = pool.submit(self._read, number, chunks[i + 1])
            yield batch

    def _read(self, number: int, columns: list[int]) -> _Batch:
        """All windows of a batch out of one piece of the volume."""
        height, width = self._rows.window, self._columns.window
        first = self._columns.starts[columns[0]]
        stop = self._columns.starts[columns[-1]] + width
        values = self._segment.read(self._rows.starts[number], first, (height, stop - first))
        places = [self._columns.starts[i] - first for i in columns]
        normalised, layers = self._segment.normalised, len(values) - max(self._depths)
        views = [
            [normalised(values[z : z + layers, :, x : x + width]) for x in places]
            for z in self._depths
        ]
        return _Batch(columns, views)

    def _is_seen(self, row: int, column: int) -> bool:
        """Whether papyrus is where a window counts."""
        mask = self._segment.mask
        if mask is None:
            return True
        (a, b), (c, d) = self._rows.kept(row), self._columns.kept(column)
        y, x = self._rows.starts[row], self._columns.starts[column]
        return bool(mask[y + a : y + b, x + c : x + d].any())
