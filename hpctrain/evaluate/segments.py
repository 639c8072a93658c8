"""`hpctrain evaluate` of a run that finds ink: what was held out, in the picture of `predict`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.analysis import ink_figures
from hpctrain.analysis.detection import NUM_BINS, Detection
from hpctrain.analysis.newest import stamp_like
from hpctrain.analysis.whole_files import SEGMENTS, SEGMENTS_FIGURE, SEGMENTS_TABLE
from hpctrain.errors import DataError
from hpctrain.evaluate.files import columns, write_figure, write_table
from hpctrain.predict.options import Options
from hpctrain.predict.segment.command import predict
from hpctrain.predict.segment.product import Product
from hpctrain.provenance import embed
from hpctrain.tasks.ink.evaluation import BETA, curves_of
from hpctrain.train.json_file import write_json

FOLDER = "segments"
"""Of the pictures, below eval/."""
_CURVES = ("threshold", "precision", "recall", "f05", "dice")


def evaluate_segments(
    run_dir: Path, say: Callable[[str], None] = lambda _: None, *, memory_mb: int | None = None
) -> dict[str, Any]:
    """Predict the segments that the run validates on, and compare what was held out with labels.

    Memory: that of `hpctrain predict`. An evaluation that was interrupted goes on when it is asked
    for again.

    Args:
        run_dir: of task `ink`, has a checkpoint.
        say: takes lines on the way.
        memory_mb: for the activations of windows; None: as `hpctrain predict`.

    Returns:
        What stands in eval/segments.json: scores over all segments, curves, and a page a segment.

    Raises:
        CheckpointError: there is no whole checkpoint, or it is of another network.
        DataError: files cannot be read, or nothing that was held out has both ink and none.
    """
    run_dir = run_dir.resolve()
    folder = run_dir / "eval" / FOLDER
    for page in folder.glob("*.json"):
        page.unlink()  # or segments whose files are there would be left as they are
    counts: dict[str, Detection] = {}

    def see(product: Product) -> None:
        counts[product.name] = product.detection

    options = Options(out=folder, kind="png", memory_mb=memory_mb, overwrite=True)
    for line in predict(run_dir, options, see) or ():
        say(line)
    segments = [{"name": name, **_page(folder / f"{name}.json")} for name in counts]
    return _write(run_dir, counts, segments)


def _write(
    run_dir: Path, counts: Mapping[str, Detection], segments: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    whole = Detection(
        sum((own.ink for own in counts.values()), np.zeros(NUM_BINS)),
        sum((own.bare for own in counts.values()), np.zeros(NUM_BINS)),
    )
    if not whole.is_judged:
        raise DataError(
            f"{', '.join(counts)}: what was held out has not both ink and bare papyrus with a "
            "probability, so that nothing can be judged; the pictures are in "
            f"{run_dir / 'eval' / FOLDER}"
        )
    folder = run_dir / "eval"
    stamp = stamp_like(folder / FOLDER / f"{next(iter(counts))}.json", run_dir, "evaluation")
    curves = curves_of(whole)
    page = {
        "epoch": stamp.epoch,
        "checkpoint": stamp.checkpoint,
        **scores_of(whole),
        "curves": curves,
        "segments": segments,
    }
    write_table(folder / SEGMENTS_TABLE, columns({key: curves[key] for key in _CURVES}), stamp)
    title = f"{', '.join(counts)}: what was held out, epoch {stamp.epoch}, windows blended"
    write_figure(folder / SEGMENTS_FIGURE, ink_figures.curves(curves, title), stamp)
    write_json(folder / SEGMENTS, page)
    embed(folder / SEGMENTS, stamp)
    return page


def scores_of(found: Detection) -> dict[str, float | int]:
    """Numbers that tell how well ink is found; see `Detection`."""
    best, threshold = found.best(BETA)
    ink, pixels = found.ink.sum(), found.ink.sum() + found.bare.sum()
    return {
        "pixels": int(pixels),
        "ink_share": float(ink / pixels) if pixels else math.nan,
        "auc": found.auc(),
        "average_precision": found.average_precision(),
        "f05": best,
        "f05_threshold": threshold,
        "dice": float(found.f_beta(1.0).max()),
        "calibration_error": found.calibration_error(),
    }


def _page(path: Path) -> dict[str, Any]:
    """Numbers about one segment, as `predict` wrote them."""
    page: dict[str, Any] = json.loads(path.read_text())
    page.pop("provenance", None)
    return page
