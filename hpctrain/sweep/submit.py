"""What of a sweep is handed in, and what each submission waits for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import ConfigError
from hpctrain.render.script import SCRIPTS
from hpctrain.sweep.existing import sweep_facts
from hpctrain.sweep.write import POINTS


@dataclass(frozen=True)
class Submission:
    """One script to hand in.

    Attributes:
        script: its path.
        depends_on: number of the submission after whose end, however it was, this one may start;
            None: at once.
        how: array, ensemble or throttled.
        points: names of the points that it runs, in order; of an array that of element 0 first.
    """

    script: Path
    depends_on: int | None
    how: str
    points: tuple[str, ...]


def is_sweep(folder: Path) -> bool:
    """Whether `hpctrain render` wrote a sweep there."""
    return bool(sweep_facts(folder))


def submissions(sweep_dir: Path) -> list[Submission]:
    """What to hand in of a sweep, in this order.

    Raises:
        ConfigError: the folder is no sweep, or a part of it is missing.
    """
    facts = sweep_facts(sweep_dir)
    if not facts:
        raise ConfigError(f"{sweep_dir}: no sweep.json that can be read; give a rendered sweep")
    names = _names(sweep_dir, facts["num_points"])
    if facts["how"] == "throttled":
        return _throttled(sweep_dir, names, facts["max_running"])
    own = (name for name in facts["files"] if name.startswith("run"))
    scripts = sorted(own, key=lambda name: (len(name), name))
    sizes = facts["parts"] or [len(names)]
    found, first = [], 0
    for number, (script, size) in enumerate(zip(scripts, sizes, strict=True)):
        # arrays wait for each other: a queue that takes no wider one takes no two either
        before = number - 1 if number else None
        points = names[first : first + size]
        found.append(Submission(sweep_dir / script, before, facts["how"], points))
        first += size
    return found


def _names(sweep_dir: Path, count: int) -> tuple[str, ...]:
    """Names of all points; the elements of an array are counted, so none may be missing."""
    points = sweep_dir / POINTS
    there = points.iterdir() if points.is_dir() else ()
    names = tuple(sorted(path.name for path in there if path.is_dir()))
    if len(names) != count:
        raise ConfigError(
            f"{points}: found {len(names)} points of {count}; render the sweep again, which writes "
            "what is gone, or submit single points"
        )
    return names


def _throttled(
    sweep_dir: Path, names: tuple[str, ...], max_running: int | None
) -> list[Submission]:
    found = []
    for number, name in enumerate(names):
        folder = sweep_dir / POINTS / name
        script = next((s for s in SCRIPTS.values() if (folder / s).is_file()), None)
        if script is None:
            raise ConfigError(f"{folder}: has no run script; render the sweep again")
        is_free = max_running is None or number < max_running
        before = None if is_free else number - (max_running or 0)
        found.append(Submission(folder / script, before, "throttled", (name,)))
    return found
