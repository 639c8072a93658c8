"""A sweep as one row of `hpctrain status`: how many of its points are in which state."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hpctrain import run_state
from hpctrain.cli.run_dir import has_points, sweep_problem
from hpctrain.run_state import RunState

_ORDER = (
    *("finished", "running", "starting", "stopped", "silent"),
    *("failed", "died", "unreadable", "rendered"),
)


def find(folder: Path) -> list[Path]:
    """Folders of sweeps in a folder, by name."""
    if run_state.is_run(folder) or not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if has_points(path) and not run_state.is_run(path)
    )


def read(sweep_dir: Path) -> RunState:
    """The points' states as if they were one run's: of each point only state.json is read.

    The field `points` has the counts.
    """
    points = [run_state.read(point) for point in run_state.find(sweep_dir / "points")]
    found = Counter(point.verdict() for point in points)
    counts = {word: found[word] for word in sorted(found, key=_place)}
    fields = {
        "status": ", ".join(f"{count} {word}" for word, count in counts.items()) or "no points",
        "points": counts,
        "message": sweep_problem(sweep_dir),
    }
    newest = max((point.updated for point in points if point.updated is not None), default=None)
    return RunState(sweep_dir, fields, modified=newest)


def is_finished(state: RunState) -> bool:
    """Whether a run, or every point of a sweep, has come to its end."""
    points = state.fields.get("points")
    is_sweep_done = isinstance(points, dict) and set(points) == {"finished"}
    return state.text("status") == "finished" or is_sweep_done


def _place(word: str) -> tuple[int, str]:
    return (_ORDER.index(word) if word in _ORDER else len(_ORDER), word)
