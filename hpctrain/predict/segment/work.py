"""The work on one segment: bands by all ranks, outputs by the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hpctrain.data.scroll.scales import Scale
from hpctrain.index.scroll.region import Box
from hpctrain.index.windows.place import window_of
from hpctrain.predict.progress import TileProgress
from hpctrain.predict.ranks import OtherRankError
from hpctrain.predict.segment.bands import Bands
from hpctrain.predict.segment.notes import (
    Grid,
    facts_of,
    tell_plan,
    tell_resumed,
    tell_scale,
    words_of,
)
from hpctrain.predict.segment.parts import Parts, Rows
from hpctrain.predict.segment.product import Product
from hpctrain.predict.segment.seams import Seams
from hpctrain.predict.segment.setup import Group, Ready
from hpctrain.predict.segment.source import Found, Segment
from hpctrain.predict.segment.targets import Target
from hpctrain.provenance import stamp_run


class _Begun(NamedTuple):
    """What the first rank tells the others of a segment."""

    scale: Scale | None
    digest: str
    at_once: int
    missing: list[int]
    is_done: bool
    """Its outputs are there already."""


class Work:
    """One segment; all ranks take part in each step.

    Args:
        ready: the run.
        group: the ranks.
        found: what is read.
        target: what is written.
        parts: bands of it, in the target's folder.
    """

    def __init__(
        self, ready: Ready, group: Group, found: Found, target: Target, parts: Parts
    ) -> None:
        self._ready, self._group, self._target = ready, group, target
        scales = ready.trained.scales
        self._segment: Segment = group.all(
            lambda: Segment(found, ready.scroll, scales, ready.options.depth_offsets)
        )
        self._grid: Grid = group.all(lambda: ready.windows(self._segment.shape))
        self._parts = parts
        self.pixels = 0
        """That were computed."""

    def run(self, see: Callable[[Product], None] = lambda _: None) -> list[str]:
        """Compute what is missing, and write the outputs; returns lines that tell of them.

        Args:
            see: called on the first rank with what was written, before the segment counts as done;
                not where it was done already.
        """
        try:
            begun: _Begun = self._group.first(self._begin)
            if begun.is_done:
                return [f"{path}: is there already" for path in self._target.paths]
            if begun.scale is not None:
                self._segment.take_scale(begun.scale)
            self._group.all(lambda: self._compute(begun), self._parts.mark_failed)
            lines: list[str] = self._group.first(lambda: self._publish(begun, see))
        finally:
            self._parts.let_go()
        return lines

    def _begin(self) -> _Begun:
        segment, (rows, columns), parts = self._segment, self._grid, self._parts
        options = self._ready.options
        self._target.check_apart(segment.paths)
        scale = None if segment.is_measured else segment.measure()
        digest = segment.digest()
        parts.plan = self._ready.plan(digest, segment, rows, columns)
        plan = parts.open(may_replace=options.overwrite)
        if parts.is_new and not options.overwrite:
            self._target.check_free()
        # more windows at once than asked for might not fit in memory a second time
        own, known = self._ready.at_once, int(plan["at_once"])
        at_once = min(own, known) if options.memory_mb else known
        count = len(rows.starts)
        is_done = parts.is_finished(plan) and all(path.exists() for path in self._target.paths)
        begun = _Begun(scale, digest, at_once, parts.missing(count), is_done)
        if is_done:
            return begun
        tell_plan(self._ready, segment, self._grid, begun.at_once)
        if scale is not None:
            tell_scale()
        if len(begun.missing) < count:
            tell_resumed(count - len(begun.missing), count)
        return begun

    def _compute(self, begun: _Begun) -> None:
        """This rank's bands of those that are missing: neighbours, which share windows."""
        comm = self._group.comm
        n, rank, size = len(begun.missing), comm.rank, comm.world_size
        mine = begun.missing[rank * n // size : (rank + 1) * n // size]
        rows, columns = self._grid
        predict, depths = self._ready.predictor, self._segment.depths
        bands = Bands(self._segment, rows, columns, predict, begun.at_once, depths)
        total = sum(bands.windows_of(number) for number in mine)
        height, width = self._segment.shape
        self.pixels = height * width * n // len(rows.starts)
        progress = TileProgress(max(1, total), self.pixels, is_shown=self._group.is_first)

        def after_window() -> None:
            progress.add()
            if size > 1 and self._parts.is_marked_failed():
                raise OtherRankError

        for number, values in bands.compute(mine, after_window):
            self._parts.save(number, values)
        progress.end()

    def _publish(self, begun: _Begun, see: Callable[[Product], None]) -> list[str]:
        segment, (rows, columns) = self._segment, self._grid
        spans = [rows.band(number) for number in range(len(rows.starts))]
        values = Rows(self._parts, spans, segment.shape[1])
        held_out = self._held_out(segment.found)
        product = Product(segment, values, Seams(rows.edges, columns.edges), held_out, self._target)
        numbers = product.look()
        ratio = numbers["seams"]["ratio"]
        facts = facts_of(self._ready, segment, self._grid, begun.digest)
        facts["hpctrain_seams"] = "not measured" if ratio is None else f"{ratio:.4f}"
        stamp = stamp_run(self._ready.run_dir, "prediction", **self._ready.trained.facts)
        product.write(stamp, facts, {**facts, **numbers})
        see(product)
        self._parts.finish()
        shape = " x ".join(map(str, segment.shape))
        lines = [f"wrote {path}: {shape} pixels (y, x)" for path in self._target.planes]
        lines += [f"wrote {path}" for path in self._target.paths[len(lines) :]]
        return lines + words_of(product.name, numbers)

    def _held_out(self, found: Found) -> list[Box] | None:
        """What the run has not trained on of a segment that it knows; None: it does not know it."""
        if not found.known_as:
            return None
        rows = self._ready.index.split("validation")
        return [_box_of(row) for row in rows if row["source"] == found.known_as]


def _box_of(row: object) -> Box:
    window = window_of(row)  # type: ignore[arg-type]
    assert window is not None
    a, b, c = window.start
    d, e, f = (s + n for s, n in zip(*window, strict=True))
    return Box((a, b, c), (d, e, f))
