"""`hpctrain evaluate` of a run that finds ink: what was held out, in the picture of `predict`."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.analysis import ink_figures
from hpctrain.analysis.detection import NUM_BINS, Detection
from hpctrain.analysis.newest import stamp_like
from hpctrain.analysis.products import publish, sync
from hpctrain.analysis.whole_files import SEGMENTS, SEGMENTS_FIGURE, SEGMENTS_TABLE
from hpctrain.errors import DataError, unwritable
from hpctrain.evaluate.files import columns, write_figure, write_table
from hpctrain.index import read_index
from hpctrain.predict.options import Options
from hpctrain.predict.segment.command import predict
from hpctrain.predict.segment.product import Product
from hpctrain.predict.segment.source import find_segments
from hpctrain.predict.segment.targets import Target, name_targets
from hpctrain.provenance import embed
from hpctrain.tasks.ink.evaluation import BETA, curves_of
from hpctrain.train.json_file import write_json

FOLDER, UNFINISHED = "segments", "segments.unfinished"
"""Of the pictures, below eval/; of an evaluation that is not whole."""
_CURVES = ("threshold", "precision", "recall", "f05", "dice")


def evaluate_segments(
    run_dir: Path, say: Callable[[str], None] = lambda _: None, *, memory_mb: int | None = None
) -> dict[str, Any]:
    """Predict the segments that the run validates on, and compare what was held out with labels.

    Memory: that of `hpctrain predict`. Pictures lie in eval/segments.unfinished until all are there
    and judged; a former evaluation stays whole until then. One that was interrupted goes on when it
    is asked for again: segments of the same checkpoint that are done are not predicted again.

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
    begun = run_dir / "eval" / UNFINISHED
    options = Options(out=begun, kind="png", memory_mb=memory_mb, overwrite=True)
    targets = name_targets(options, find_segments(read_index(run_dir), ()))
    lines = predict(run_dir, options, lambda product: _keep(begun, product)) or ()
    counts = {target.name: _kept(begun, target.name) for target in targets}
    whole = Detection(
        sum((own.ink for own in counts.values()), np.zeros(NUM_BINS)),
        sum((own.bare for own in counts.values()), np.zeros(NUM_BINS)),
    )
    folder = _publish(targets, begun) if whole.is_judged else begun
    for line in lines:
        say(line.replace(f"{begun}{os.sep}", f"{folder}{os.sep}"))
    if not whole.is_judged:
        raise DataError(
            f"{', '.join(counts)}: what was held out has not both ink and bare papyrus with a "
            f"probability, so that nothing can be judged; the pictures are in {folder}"
        )
    segments = [{"name": name, **_page(folder / f"{name}.json")} for name in counts]
    return _write(run_dir, whole, segments)


def _keep(folder: Path, product: Product) -> None:
    """Keep a segment's counts, for an evaluation that goes on after this one."""
    path = _counts_path(folder, product.name)
    found = product.detection
    try:
        np.save(path, np.stack((found.ink, found.bare)))
        sync(path)
    except OSError as e:
        raise unwritable(path, e) from e


def _kept(folder: Path, name: str) -> Detection:
    return Detection(*np.load(_counts_path(folder, name)))


def _counts_path(folder: Path, name: str) -> Path:
    return folder / f".{name}.counts.npy"


def _publish(targets: Sequence[Target], begun: Path) -> Path:
    """Put whole pictures and pages in the place of former ones; returns their folder."""
    folder = begun.with_name(FOLDER)
    try:
        # written anew at the end: until then no page speaks of pictures that are replaced
        begun.with_name(SEGMENTS).unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)
        for target in targets:
            for path in target.paths:
                publish(path, folder / path.name)
        shutil.rmtree(begun)
    except OSError as e:
        raise unwritable(folder, e) from e
    return folder


def _write(run_dir: Path, whole: Detection, segments: Sequence[dict[str, Any]]) -> dict[str, Any]:
    folder, names = run_dir / "eval", [segment["name"] for segment in segments]
    stamp = stamp_like(folder / FOLDER / f"{names[0]}.json", run_dir, "evaluation")
    curves = curves_of(whole)
    page = {
        "epoch": stamp.epoch,
        "checkpoint": stamp.checkpoint,
        **scores_of(whole),
        "curves": curves,
        "segments": segments,
    }
    write_table(folder / SEGMENTS_TABLE, columns({key: curves[key] for key in _CURVES}), stamp)
    title = f"{', '.join(names)}: what was held out, epoch {stamp.epoch}, windows blended"
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
