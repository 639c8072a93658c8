"""What a prediction of ink says of itself: in the log, in its files, and at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpctrain.log import logger
from hpctrain.predict.segment.setup import Ready
from hpctrain.predict.segment.source import Segment
from hpctrain.predict.segment.windows import AxisWindows

Grid = tuple[AxisWindows, AxisWindows]
"""Windows along y and x."""


def tell_plan(ready: Ready, segment: Segment, grid: Grid, at_once: int) -> None:
    """Log what is predicted with what."""
    rows, columns = grid
    logger.info(
        "%s, %s weights; %s of %s pixels (y, x), layers %d to %d, on %s",
        ready.trained.facts["checkpoint"],
        "averaged" if ready.trained.weights == "ema" else "last",
        segment.found.path.name,
        _by(segment.shape),
        segment.layers[0],
        segment.layers[1] - 1,
        ready.where,
    )
    logger.info(
        "windows of %s voxels at every %s pixels, %d at once; %s at their sides do not count: %s",
        _by(ready.tile),
        _by((rows.stride, columns.stride)),
        at_once,
        _by((rows.border, columns.border)),
        ready.why,
    )
    if len(segment.offsets) > 1:
        offsets = ", ".join(map(str, segment.offsets))
        logger.info("mean of %d views, %s layers off the middle", len(segment.offsets), offsets)


def tell_scale() -> None:
    """Log that grey values are normalised by what was found in the segment itself."""
    logger.info("the run has not read this segment; the scale of its grey values was measured")


def tell_resumed(done: int, count: int) -> None:
    """Log how much of an interrupted prediction is there."""
    logger.info("%d of %d bands of rows are there already; goes on with the others", done, count)


def facts_of(ready: Ready, segment: Segment, grid: Grid, digest: str) -> dict[str, str]:
    """What every output says beside its stamp.

    Args:
        ready: the run.
        segment: what was read.
        grid: windows.
        digest: of the segment's files.
    """
    rows, columns = grid
    first, stop = segment.layers
    return {
        "title": f"probability of ink, predicted by {ready.name}",
        "source": segment.found.path.name,
        "source_sha256": digest,
        "hpctrain_layers": f"{first} to {stop - 1}",
        "hpctrain_depth_offsets": ", ".join(map(str, segment.offsets)),
        "hpctrain_weights": ready.trained.weights,
        "hpctrain_precision": ready.precision.name,
        "hpctrain_windows": f"{_by(ready.tile)} voxels, stride {_by((rows.stride, columns.stride))}"
        f", border {_by((rows.border, columns.border))} ({ready.why})",
        "hpctrain_flips": "mean of four views" if ready.options.flips else "none",
    }


def words_of(name: str, numbers: Mapping[str, Any]) -> list[str]:
    """Lines about a segment that is done."""
    lines = []
    ratio = numbers["seams"]["ratio"]
    if ratio is not None:
        lines.append(f"{name}: seams {ratio:.3f} (jumps across edges of windows over those beside)")
    scores = numbers.get("scores")
    if scores:
        lines.append(
            f"{name}: AUC {scores['auc']:.3f}, F0.5 {scores['f05']:.3f} at threshold "
            f"{scores['f05_threshold']:.3f}; labels of {scores['of']}"
        )
    return lines


def _by(values: Sequence[int]) -> str:
    return " x ".join(map(str, values))
