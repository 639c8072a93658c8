"""Is a run directory still what was rendered, and are the data still those of its index?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpctrain.errors import ConfigError, DataError
from hpctrain.index import Index, read_index, verify_index
from hpctrain.render.existing import Difference, against, differences, manifest

_MOST = 20


@dataclass(frozen=True)
class Verdict:
    """What was found in one run directory.

    Attributes:
        run_dir: the run directory.
        differences: paths that are not as they were rendered.
        index: faults of the index, or of data files against it.
        num_files: files that were compared.
        num_rows: rows of the index.
    """

    run_dir: Path
    differences: tuple[Difference, ...]
    index: tuple[str, ...]
    num_files: int
    num_rows: int

    @property
    def is_unchanged(self) -> bool:
        """Whether the run would do what was rendered; files beside it are fine, except code."""
        return not self.index and not any(
            d.what != "added" or d.path.startswith("code/") for d in self.differences
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        kinds = ("edited", "removed", "added")
        listed = {kind: [d.path for d in self.differences if d.what == kind] for kind in kinds}
        return {
            "run": str(self.run_dir),
            "is_unchanged": self.is_unchanged,
            **listed,
            "index": list(self.index),
            "num_files": self.num_files,
            "num_rows": self.num_rows,
        }


def verify_all(folder: Path, has_content: bool = False) -> Iterator[Verdict]:
    """Verdicts on a run, or on a sweep's own files and then on each of its points."""
    if not (folder / "points").is_dir():
        yield verify(folder, has_content)
        return
    yield verify_sweep(folder)
    for number, run_dir in enumerate(runs_in(folder)):
        is_shared = (run_dir / "code").is_symlink()
        yield verify(run_dir, has_content, has_code=number == 0 or not is_shared)


def verify_sweep(folder: Path) -> Verdict:
    """Compare a sweep's own files, and which points it has, with what was rendered.

    Raises:
        ConfigError: it has no sweep.json that can be read.
    """
    files, count = _sweep_facts(folder)
    width = max(3, len(str(count - 1)))
    names = ["sweep.csv", *(f"points/{index:0{width}}" for index in range(count))]
    gone = [Difference("removed", name) for name in names if not (folder / name).exists()]
    return Verdict(folder, (*against(files, folder), *gone), (), len(files), 0)


def _sweep_facts(folder: Path) -> tuple[dict[str, str], int]:
    """Digests of a sweep's own files, and how many points it was rendered with."""
    try:
        page = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        files = {str(name): str(known) for name, known in page["files"].items()}
        return files, int(page["num_points"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as e:
        raise ConfigError(
            f"{folder}: has points, and no sweep.json that can be read; give a sweep that "
            "`hpctrain render` wrote, or one of the points"
        ) from e


def verify(run_dir: Path, has_content: bool = False, has_code: bool = True) -> Verdict:
    """Compare a run directory with its manifest, and the data with its index.

    Args:
        run_dir: the run directory.
        has_content: read all data files and compare their digests, not only sizes and times.
        has_code: compare code/, too.

    Raises:
        ConfigError: it has no manifest that can be read.
    """
    files = manifest(run_dir).get("files")
    if not isinstance(files, dict):
        raise ConfigError(
            f"{run_dir}: has no manifest.json that can be read; give a run directory that "
            "`hpctrain render` wrote"
        )
    try:
        index = read_index(run_dir)
        faults, rows = tuple(_index_faults(index, has_content)), len(index.rows)
    except DataError as e:
        faults, rows = (str(e),), 0
    return Verdict(run_dir, tuple(differences(run_dir, has_code)), faults, len(files), rows)


def _index_faults(index: Index, has_content: bool) -> Iterator[str]:
    try:
        verify_index(index, has_content)
        return
    except DataError:
        pass  # it names only the first file: look at the rows one by one
    found = 0
    for row in index.rows:
        try:
            verify_index(replace(index, rows=(row,)), has_content)
        except DataError as e:
            found += 1
            if found <= _MOST:
                yield str(e)
    if found > _MOST:
        yield f"and {found - _MOST} more"


def runs_in(folder: Path) -> list[Path]:
    """The folder itself if it is a run, else the points of a sweep in it."""
    if not (folder / "points").is_dir():
        return [folder]
    return sorted(path for path in (folder / "points").iterdir() if path.is_dir())
