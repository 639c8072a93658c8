"""Predicted segments that the report shows: figure, seams, scores, and where they are from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpctrain.analysis import scroll_words
from hpctrain.analysis.charts import SMALL, figure
from hpctrain.analysis.record import Record
from hpctrain.analysis.svg import Axis, Chart, Curve
from hpctrain.analysis.whole_files import SEGMENTS
from hpctrain.errors import ConfigError
from hpctrain.provenance.run import read_manifest, run_id
from hpctrain.run_state import finite

_SHOWN = 12
"""Figures on the page, which would be too large with all of them."""
_ROWS = (
    ("segment", "source"),
    ("sha256 of its files", "source_sha256"),
    ("layers", "hpctrain_layers"),
    ("windows", "hpctrain_windows"),
    ("flips", "hpctrain_flips"),
    ("weights", "hpctrain_weights"),
    ("arithmetic", "hpctrain_precision"),
)
_STAMPED = (
    ("checkpoint", "checkpoint"),
    ("its sha256", "checkpoint_digest"),
    ("epoch", "epoch"),
    ("run", "run_name"),
    ("run id", "run_id"),
    ("code digest", "code_digest"),
    ("git revision", "git_revision"),
)


def find_predictions(record: Record, given: Sequence[Path]) -> list[dict[str, Any]]:
    """Segments that `hpctrain evaluate` predicted, and those of other folders.

    Args:
        record: the run.
        given: folders that `hpctrain predict` wrote into, or pages (NAME.json) of single segments.

    Returns:
        For each: `name`, `sentences`, `rows` of facts, `charts`, and `figure`, None where there is
        none.

    Raises:
        ConfigError: nothing of `hpctrain predict` is there.
    """
    found: list[dict[str, Any]] = []
    segments = record.segments.get("segments")
    for segment in segments if isinstance(segments, list) else ():
        name = Path(str(segment.get("name"))).name if isinstance(segment, dict) else ""
        page = _read(record, record.path / "eval" / Path(SEGMENTS).stem / f"{name}.json")
        found += [] if page is None else [page]
    for path in given:
        pages = [_read(record, candidate) for candidate in _pages(path)]
        known = [page for page in pages if page is not None]
        if not known:
            raise ConfigError(
                f"--prediction: {path}: no page NAME.json of hpctrain predict there; give the "
                "folder that it wrote segments into, or such a page"
            )
        found += known
    for own in found[_SHOWN:]:
        if own["figure"] is not None:
            own["sentences"].append(f"Its figure is left out here: {own['figure']}")
            own["figure"] = None
    return found


def _pages(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(path.glob("*.json"))
    elif path.suffix == ".json":
        yield path


def _read(record: Record, path: Path) -> dict[str, Any] | None:
    """One segment; None of another page."""
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        if "source_sha256" not in page or not isinstance(page["seams"], dict):
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    stamp = page.get("provenance")
    stamp = stamp if isinstance(stamp, dict) else {}
    rows = [(label, page.get(key)) for label, key in _ROWS]
    rows += [(label, stamp.get(key)) for label, key in _STAMPED]
    figure = path.with_name(f"{path.stem}-figure.png")
    return {
        "name": f"segment {path.stem}",
        "charts": seam_chart(page["seams"].get("by_distance")),
        "sentences": [*_whose(record, stamp), *_words(page)],
        "rows": [("file", str(path)), *((k, str(v)) for k, v in rows if v not in (None, ""))],
        "figure": figure if figure.is_file() else None,
    }


def seam_chart(jumps: Any) -> list[dict[str, Any]]:
    """Differences of neighbouring pixels by their distance from where windows meet."""
    if not isinstance(jumps, list):
        return []
    curve = Curve("generator", list(range(len(jumps))), [finite(value) for value in jumps])
    title = "seams: difference of neighbouring pixels"
    x = Axis("pixels from the nearest edge of a window", whole=True, low=0.0)
    drawn = figure(title, [Chart(title, [curve], x, Axis("", low=0.0), height=SMALL)])
    return [drawn] if drawn["svg"] else []


def _whose(record: Record, stamp: Mapping[str, Any]) -> list[str]:
    """A warning where another run made it, or another state of this one."""
    if stamp.get("run_id") != run_id(read_manifest(record.path)):
        return [f"Another run made this: {stamp.get('run_name') or 'one without a name'}."]
    latest = next((c.name for c in record.checkpoints if c.is_latest), "")
    made = stamp.get("checkpoint")
    return [f"Of {made}; the newest is {latest}."] if latest and made and made != latest else []


def _words(page: Mapping[str, Any]) -> list[str]:
    found = []
    seams = scroll_words.seam_sentence(page)
    if seams:
        found.append(f"Seams: {seams}")
    scores = page.get("scores")
    if isinstance(scores, dict):
        names = (
            ("AUC", "auc"),
            ("average precision", "average_precision"),
            ("F0.5", "f05"),
            ("at threshold", "f05_threshold"),
            ("Dice", "dice"),
            ("calibration error", "calibration_error"),
        )
        told = [
            f"{label} {value:.3f}"
            for label, key in names
            if (value := finite(scores.get(key))) is not None
        ]
        found.append(f"Against the labels of {scores.get('of', 'it')}: {', '.join(told)}.")
    return found
