"""`hpctrain submit` of a sweep: its arrays, its one job, or its points one behind another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpctrain.schedulers.base import Condition
    from hpctrain.schedulers.submission import Submission


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds the runs of a sweep."""
    return (folder / "sweep.json").is_file() and (folder / "points").is_dir()


def submit_sweep(sweep_dir: Path, is_held: bool) -> Iterator[Submission]:
    """Hand in all that a sweep consists of; each as soon as the one before it is recorded."""
    from hpctrain.schedulers.submission import submit, submit_script
    from hpctrain.sweep import submissions

    job_ids: list[str] = []
    for one in submissions(sweep_dir):
        after: list[tuple[str, Condition]] = []
        if one.depends_on is not None:
            after.append((job_ids[one.depends_on], "any"))
        if one.how == "throttled":
            done = submit(one.script.parent, is_held and not after, after)
        else:
            points = [sweep_dir / "points" / name for name in one.points]
            is_array = one.how == "array"
            done = submit_script(
                one.script, points, is_held and not after, after, is_array, not job_ids
            )
        job_ids.append(done.job_ids[-1])
        yield done


def jobs_of_sweep(folder: Path) -> list[Path]:
    """The folders whose jobs are those of a sweep: its own, or its points'; else the folder."""
    if not is_sweep(folder) or (folder / "submitted.log").is_file():
        return [folder]
    points = sorted(path for path in (folder / "points").iterdir() if path.is_dir())
    return [path for path in points if (path / "submitted.log").is_file()] or [folder]
