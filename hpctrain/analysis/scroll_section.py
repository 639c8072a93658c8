"""What the report says of runs on scrolls: numbers, what they mean, curves and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hpctrain.analysis import scroll_words
from hpctrain.analysis.facts import number
from hpctrain.analysis.record import Record
from hpctrain.analysis.scroll_charts import by_distance, by_epoch, ink_curves
from hpctrain.run_state import finite

TASKS = ("ink", "scroll_vae")
_PICTURES = {
    "ink_region": (
        "The held-out region",
        "Windows lie side by side, unblended, so their edges show; hpctrain evaluate and predict "
        "overlap and blend them. Blue: off the papyrus.",
    ),
    "ink_windows": (
        "Single windows",
        "The orange line is where labels end; pixels that are black in the mask count nowhere.",
    ),
    "reconstruction": (
        "Cubes and their reconstructions",
        "Three cuts through the middle of each cube, on one grey scale; decoded from the "
        "posterior's mean.",
    ),
    "latent_traversal": (
        "What single latent numbers change",
        "One cube, decoded again with one number from -2.5 to 2.5 and all others as they are; on "
        "the grey scale of the scan. Right: the last less the first, red where brighter.",
    ),
    "error_by_distance": ("Error by distance from the centre", ""),
    "ink_error_by_distance": ("Error by distance from a window's centre", ""),
    "ink_curves": ("Precision and recall, thresholds, calibration", ""),
}
_DRAWN = {
    "ink_curves": "curves", "ink_error_by_distance": "distance", "error_by_distance": "distance"
}  # fmt: skip
"""Pictures that the page draws itself where it has their numbers."""

Page = Mapping[str, Any]


def section(record: Record) -> dict[str, Any] | None:
    """All that the template needs; None: the run is of another task."""
    train = record.config.get("train")
    task = train.get("task") if isinstance(train, dict) else None
    if task not in TASKS:
        return None
    summary = record.summary
    curves = ink_curves(record.ink, finite(summary.get("ink_share"))) if task == "ink" else []
    distance = by_distance(summary.get("error_by_distance"))
    evaluated = _segments(record) if task == "ink" else _cubes(record)
    return {
        "what": "windows" if task == "ink" else "cubes",
        "count": finite(summary.get("windows" if task == "ink" else "samples")),
        "epoch": finite(summary.get("epoch")),
        "cards": _kept(scroll_words.ink_cards if task == "ink" else scroll_words.vae_cards, record),
        "sentences": _kept(
            scroll_words.ink_sentences if task == "ink" else scroll_words.vae_sentences, record
        ),
        "epochs": by_epoch(record, task),
        "curves": curves + distance,
        "pictures": _pictures(record, {"curves": bool(curves), "distance": bool(distance)}),
        "evaluated": evaluated,
    }


def _kept(words: Callable[[Page, Page], list[Any]], record: Record) -> list[Any]:
    try:
        return words(record.summary, record.ink)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
        return []  # somebody else's file


def _pictures(record: Record, is_drawn: Mapping[str, bool]) -> list[dict[str, Any]]:
    """The newest figures, those that say most first."""
    order = {name: i for i, name in enumerate(_PICTURES)}
    names = sorted(record.figures, key=lambda name: order.get(name, len(order)))
    found = []
    for name in names:
        if not is_drawn.get(_DRAWN.get(name, ""), False):
            title, note = _PICTURES.get(name, (name.replace("_", " "), ""))
            found.append({"title": title, "note": note, "path": record.figures[name]})
    return found


def _segments(record: Record) -> dict[str, Any] | None:
    """What `hpctrain evaluate` found of ink."""
    page = record.segments
    if not page:
        return None
    share = finite(page.get("ink_share"))
    curves = page.get("curves")
    return {
        "title": "Whole segments",
        "epoch": finite(page.get("epoch")),
        "sentences": _evaluated_words(scroll_words.segment_sentences, page),
        "charts": ink_curves(curves if isinstance(curves, dict) else {}, share),
        "pictures": [],
        "rows": [],
    }


def _cubes(record: Record) -> dict[str, Any] | None:
    """What `hpctrain evaluate` found of a VAE."""
    page = record.cubes
    if not page:
        return None
    blocks = page.get("block_means")
    blocks = blocks if isinstance(blocks, dict) else {}
    rows = [
        (label, number(page.get(key)), number(blocks.get(key)))
        for label, key in (
            ("PSNR, dB", "psnr"), ("share of the variance explained", "explained"),
            ("mean squared error", "mse"),
        )
    ]  # fmt: skip
    folder = record.path / "eval" / "cubes"
    return {
        "title": "All held-out cubes",
        "epoch": finite(page.get("epoch")),
        "sentences": _evaluated_words(scroll_words.cube_sentences, page),
        "charts": by_distance(page.get("error_by_distance")),
        "pictures": [
            {"title": _PICTURES[name][0], "note": note or _PICTURES[name][1], "path": path}
            for name, note in (
                ("reconstruction", "From the best reconstruction at the top to the worst, evenly "
                 "spread over all cubes."),
                ("latent_traversal", ""),
            )
            if (path := folder / f"{name}.png").is_file()
        ],
        "rows": rows,
    }  # fmt: skip


def _evaluated_words(
    words: Callable[[Mapping[str, Any]], list[str]], page: Mapping[str, Any]
) -> list[str]:
    try:
        return words(page)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
        return []  # somebody else's file
