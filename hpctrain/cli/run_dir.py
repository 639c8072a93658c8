"""Find a run directory, or a sweep's, by path or by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hpctrain import run_state
from hpctrain.errors import ConfigError

RUNS = Path("jobs")
"""Folder of all run directories, unless another is named."""
_SHOWN = 8


def is_run(folder: Path) -> bool:
    """Whether a folder is a run directory, or holds the runs of a sweep."""
    return (folder / "manifest.json").is_file() or has_points(folder)


def has_points(folder: Path) -> bool:
    """Whether a folder holds the runs of a sweep, with sweep.json or without."""
    return (folder / "points").is_dir()


def sweep_problem(folder: Path) -> str:
    """What is wrong with a sweep's sweep.json; nothing where it is as render writes it.

    Read here and not in the room `sweep`, whose imports would make `status` slow.
    """
    try:
        page = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "has no sweep.json"
    except (OSError, ValueError):
        page = None
    return "" if isinstance(page, dict) and "how" in page else "has a sweep.json that is torn"


def find_run(name: str | Path) -> Path:
    """A single run directory: a path, or a name in jobs/.

    Raises:
        ConfigError: there is none, or it is a sweep.
    """
    folder = _find(name, lambda path: run_state.is_run(path) or has_points(path))
    if run_state.is_run(folder):
        return folder
    points = run_state.find(folder / "points")
    if not points:
        raise ConfigError(f"{folder}: is a sweep, and all of its points are gone; render it again")
    problem = sweep_problem(folder)
    raise ConfigError(
        f"{folder}: is a sweep{f', but {problem}' if problem else ''}; give one of its points, "
        f"such as {points[0]}, or see hpctrain table {folder}"
    )


def find_run_or_sweep(name: str | Path) -> Path:
    """A run directory or the folder of a sweep: a path, or a name in jobs/.

    Raises:
        ConfigError: there is none.
    """
    return _find(name, is_run)


def find_folder(name: str | Path) -> Path:
    """Any folder: a path, or a name in jobs/.

    Raises:
        ConfigError: there is none.
    """
    return _find(name, Path.is_dir)


def _find(name: str | Path, fits: Callable[[Path], bool]) -> Path:
    """The first place that fits.

    Raises:
        ConfigError: none does; says where was looked, and what there is.
    """
    tried = list(dict.fromkeys((Path(name), RUNS / name))) if str(name) else []
    for folder in tried:
        if fits(folder):
            return folder
    from hpctrain.config.words import nearest

    names = [path.name for path in sorted(RUNS.glob("*")) if run_state.is_run(path) or is_run(path)]
    known = "make one with: hpctrain render mantle.yaml"
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        known = f"choose from {', '.join(names[:_SHOWN])}{more} in {RUNS}/"
    places = " and ".join(map(str, tried)) or "nothing"
    raise ConfigError(
        f"{str(name) or repr(name)}: no such run directory; looked for {places}; {known}"
        f"{nearest(Path(name).name, names)}"
    )
