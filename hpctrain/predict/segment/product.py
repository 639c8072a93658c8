"""Outputs of a segment out of its bands: pictures, numbers about them, and a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.analysis import ink_figures
from hpctrain.analysis.detection import LIMIT, NUM_BINS, Detection
from hpctrain.analysis.products import publish, remove, sync
from hpctrain.formats.picture import read_picture
from hpctrain.formats.plane_writer import BLOCK, PlaneSheet, plane_writer
from hpctrain.index.scroll.region import Box
from hpctrain.predict.segment.parts import Rows
from hpctrain.predict.segment.seams import Seams
from hpctrain.predict.segment.source import Segment
from hpctrain.predict.segment.targets import Target
from hpctrain.provenance import Stamp, embed

NAME = "ink_probability"
BETA = 0.5
"""The ink challenge's."""
_LARGEST = 1024
"""Cells of a side of a figure, at most."""

Array = NDArray[Any]


@dataclass
class _Cells:
    """Means over squares of pixels, for a figure."""

    shape: tuple[int, int]

    def __post_init__(self) -> None:
        self.factor = -(-max(self.shape) // _LARGEST)
        height, width = (-(-n // self.factor) for n in self.shape)
        self._sum, self._count = np.zeros((height, width)), np.zeros((height, width))

    def add(self, top: int, rows: Array) -> None:
        """Take rows, of which the first is row `top`; NaN does not count."""
        known = np.isfinite(rows)
        values = np.where(known, rows, 0.0)
        steps = np.arange(0, rows.shape[1], self.factor)
        to = (top + np.arange(len(rows))) // self.factor
        np.add.at(self._sum, to, np.add.reduceat(values, steps, axis=1, dtype=np.float64))
        np.add.at(self._count, to, np.add.reduceat(known, steps, axis=1, dtype=np.float64))

    def spans(self, box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
        """[start, stop) of the rows and the columns of cells over a box."""
        (_, top, left), (_, bottom, right) = box.start, box.stop
        f = self.factor
        return (top // f, -(-bottom // f)), (left // f, -(-right // f))

    @property
    def means(self) -> Array:
        """(h, w); NaN where nothing counted."""
        found = np.full_like(self._sum, np.nan)
        return np.divide(self._sum, self._count, out=found, where=self._count > 0)


class Product:
    """What is made of the bands of one segment.

    Args:
        segment: what was read.
        rows: its probabilities.
        seams: where windows meet.
        held_out: boxes of the segment that the run did not train on; None: it knows none of it.
        target: where it goes.
    """

    def __init__(
        self,
        segment: Segment,
        rows: Rows,
        seams: Seams,
        held_out: Sequence[Box] | None,
        target: Target,
    ) -> None:
        self._segment, self._rows, self.seams = segment, rows, seams
        self._held_out, self._target = held_out, target
        self._cells = _Cells(segment.shape)
        self._labels = segment.labels()
        self._counts = np.zeros((2, NUM_BINS))
        self._mean = np.zeros(2)

    def look(self) -> dict[str, Any]:
        """Go through all rows once; returns numbers about them."""
        for top, rows in self._rows.blocks(BLOCK):
            self.seams.add(top, rows)
            self._cells.add(top, rows)
            known = np.isfinite(rows)
            self._mean += rows[known].sum(dtype=np.float64), np.count_nonzero(known)
            if self._labels is not None:
                self._score(top, rows, known)
        total, count = self._mean
        found: dict[str, Any] = {
            "pixels": int(count),
            "mean_probability": float(total / count) if count else None,
            "seams": {
                "ratio": self.seams.ratio,
                "at_edges": _or_null(self.seams.at_edges),
                "beside": _or_null(self.seams.beside),
                "by_distance": [_or_null(value) for value in self.seams.by_distance],
            },
        }
        return found | self._scores()

    def write(self, stamp: Stamp, notes: Mapping[str, str], page: Mapping[str, Any]) -> None:
        """Write all outputs, and give them their names when all are whole.

        Args:
            stamp: where they are from.
            notes: further facts that each file says.
            page: numbers about the segment.
        """
        target = self._target
        parts = {path: target.scratch(path) for path in target.paths}
        for part in parts.values():
            remove(part)  # of a killed one
        sheet = PlaneSheet(NAME, self._segment.shape, notes, stamp)
        try:
            self._write_planes([parts[path] for path in target.planes], sheet)
            if target.page is not None:
                parts[target.page].write_text(json.dumps(page, indent=1) + "\n")
                embed(parts[target.page], stamp)
            if target.figure is not None:
                self._draw(parts[target.figure])
                embed(parts[target.figure], stamp)
            for path, part in parts.items():
                if part.is_file():
                    sync(part)
                publish(part, path)
        finally:
            for part in parts.values():
                remove(part)

    def _write_planes(self, paths: Sequence[Path], sheet: PlaneSheet) -> None:
        with ExitStack() as stack:
            writers = []
            for path in paths:
                writers.append(plane_writer(path, sheet))
                stack.callback(writers[-1].close)
            for top, rows in self._rows.blocks(BLOCK):
                for writer in writers:
                    writer.write(top, rows)
            for writer in writers:
                writer.finish()

    def _score(self, top: int, rows: Array, known: Array) -> None:
        """Count scores of ink and of bare papyrus, where the run has not trained."""
        assert self._labels is not None
        counted = known & self._is_held_out(top, rows.shape)
        ink = self._labels[top : top + len(rows)]
        p = rows[counted].astype(np.float64).clip(1e-9, 1 - 1e-9)
        score = np.log(p) - np.log1p(-p)
        bins = ((score + LIMIT) * (NUM_BINS / (2 * LIMIT))).astype(int).clip(0, NUM_BINS - 1)
        is_ink = ink[counted]
        for kind, own in enumerate((bins[is_ink], bins[~is_ink])):
            self._counts[kind] += np.bincount(own, minlength=NUM_BINS)

    def _is_held_out(self, top: int, shape: tuple[int, ...]) -> Array:
        found = np.full(shape, self._held_out is None)
        for box in self._held_out or ():
            (_, a, c), (_, b, d) = box.start, box.stop
            found[max(0, a - top) : max(0, b - top), c:d] = True
        return found

    @property
    def name(self) -> str:
        """What its outputs are called; two segments of one prediction differ in it."""
        return self._target.name

    @property
    def detection(self) -> Detection:
        """Scores of ink and of bare papyrus, where the run has not trained; empty before `look`."""
        return Detection(*self._counts)

    def _scores(self) -> dict[str, Any]:
        found = self.detection
        if not found.is_judged:
            return {}
        best, threshold = found.best(BETA)
        where = "all of it" if self._held_out is None else "the part that was held out"
        numbers = {
            "auc": found.auc(),
            "average_precision": found.average_precision(),
            "f05": best,
            "f05_threshold": threshold,
            "dice": float(found.f_beta(1.0).max()),
            "calibration_error": found.calibration_error(),
        }
        return {"scores": {"of": where, **numbers}}

    def _draw(self, path: Path) -> None:
        """Infrared, labels and probability side by side, as far as they are there."""
        panels: dict[str, Array] = {}
        if self._segment.infrared is not None:
            picture = read_picture(self._segment.infrared)
            gray = picture if picture.ndim == 2 else picture[..., :3].mean(-1)
            panels["infrared"] = self._shrunk(gray)
        if self._labels is not None:
            panels["labels"] = self._shrunk(self._labels)
        panels["ink"] = self._cells.means
        title = self.name
        if self._held_out:
            title += "; framed: held out; the rest may have been trained on"
        boxes = [self._cells.spans(box) for box in self._held_out or ()]
        figure = ink_figures.region(panels, title, boxes)
        figure.savefig(path, format="png", metadata={"Software": None})

    def _shrunk(self, picture: Array) -> Array:
        cells = _Cells(self._segment.shape)
        for top in range(0, len(picture), BLOCK):
            cells.add(top, picture[top : top + BLOCK].astype(np.float32))
        return cells.means


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None
