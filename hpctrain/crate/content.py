"""What of a run directory goes into its crate, and the digest of each file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hpctrain.errors import ConfigError, DataError, ProvenanceError
from hpctrain.provenance import Stamp, read
from hpctrain.provenance.digest import digest_of
from hpctrain.provenance.files import read_stamp
from hpctrain.provenance.run import read_manifest
from hpctrain.trace.inputs import Inputs

RESULTS = ("eval", "tensorboard", "logs")
"""Folders that go in whole; of checkpoints/ only those that are asked for."""
DATA = "data"
"""Folder of the input files, if they go in."""
_BESIDE = ("manifest.json", "state.json", "report.html", "submitted.log", "chain.log")


@dataclass(frozen=True)
class Member:
    """One file of a crate.

    Attributes:
        name: path within the crate.
        source: the file that it is a copy of.
        size: in bytes.
        sha256: of its content.
        kind: `rendered`, `record`, `result`, `checkpoint` or `input`.
        stamp: what the file says of itself; None of most.
    """

    name: str
    source: Path
    size: int
    sha256: str
    kind: str
    stamp: Stamp | None = None

    @property
    def is_executable(self) -> bool:
        """Whether the source may be run."""
        return os.access(self.source, os.X_OK)


def collect(run_dir: Path, checkpoints: str) -> list[Member]:
    """Files of a run directory, without its input files.

    Args:
        run_dir: the run directory.
        checkpoints: `all`, `last` or `none`.

    Raises:
        ConfigError: it has no manifest, or a file cannot be read.
    """
    rendered = read_manifest(run_dir).get("files")
    if not isinstance(rendered, dict):
        raise ConfigError(
            f"{run_dir}: has no manifest.json that can be read; give a run directory that "
            "`hpctrain render` wrote"
        )
    members = [member(run_dir, name, "rendered") for name in rendered if _is_file(run_dir, name)]
    members += [member(run_dir, name, "record") for name in _BESIDE if _is_file(run_dir, name)]
    for folder in RESULTS:
        members += [member(run_dir, name, "result") for name in _walk(run_dir, folder)]
    members += [
        member(run_dir, f"checkpoints/{name}", "checkpoint")
        for name in _checkpoints(run_dir / "checkpoints", checkpoints)
    ]
    return sorted({m.name: m for m in members}.values(), key=lambda m: m.name)


def input_members(inputs: Inputs) -> list[Member]:
    """The input files, each compared with the index.

    Raises:
        DataError: one is missing, or is not the one that was indexed.
    """
    members = []
    for file in inputs.files:
        path = inputs.root / file.name
        if ".." in Path(file.name).parts or Path(file.name).is_absolute():
            raise DataError(f"{path}: lies outside of the data's root; leave --with-data out")
        found = member(inputs.root, file.name, "input", f"{DATA}/{file.name}")
        if found.sha256 != file.sha256:
            raise DataError(
                f"{path}: is not the file that was indexed, so a crate with it would not be this "
                "run; restore it, or leave --with-data out"
            )
        members.append(found)
    return members


def member(root: Path, name: str, kind: str, arcname: str = "") -> Member:
    """One file with its digest.

    Args:
        root: folder that the name starts from.
        name: of the file.
        kind: see `Member`.
        arcname: path within the crate; empty: the name.

    Raises:
        ConfigError: it cannot be read.
    """
    path = root / name
    try:
        size = path.stat().st_size
        digest = digest_of(path, size)  # a log may grow meanwhile
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read ({e.strerror})") from e
    return Member(arcname or name, path, size, digest, kind, _stamp(path, kind))


def _stamp(path: Path, kind: str) -> Stamp | None:
    if kind not in ("result", "checkpoint"):
        return None
    try:
        return read_stamp(path) if kind == "checkpoint" else read(path).stamp
    except ProvenanceError:
        return None


def _is_file(run_dir: Path, name: str) -> bool:
    """Whether there is such a file, within the run directory.

    Raises:
        ConfigError: the name, or a link, leads out of the run directory.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ConfigError(
            f"{run_dir}/manifest.json: names {name!r}, which is not in the run directory; render "
            "the job again"
        )
    home, place = run_dir.resolve(), (run_dir / name).resolve()
    shared = home.parent.parent / "code"  # one for all points of a sweep
    is_shared = home.parent.name == "points" and name.startswith("code/")
    if not place.is_relative_to(home) and not (is_shared and place.is_relative_to(shared)):
        raise ConfigError(
            f"{run_dir / name}: leads out of the run directory to {place}; put the file itself "
            "there, or take the link away"
        )
    return place.is_file()


def _walk(run_dir: Path, top: str) -> Iterator[str]:
    """Files below a folder, without links, hidden files and temporaries."""
    for folder, folders, names in os.walk(run_dir / top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path.relative_to(run_dir).as_posix()


def _checkpoints(folder: Path, which: str) -> list[str]:
    if which == "none":
        return []
    if which == "last":
        latest = folder / "latest"
        if latest.is_symlink():
            name = os.path.basename(os.readlink(latest))
            return [name] if _is_own(folder / name) else []
        found = [path for path in folder.glob("state_*.pt") if _is_own(path)]
        newest = max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
        return [newest.name] if newest else []
    return sorted(path.name for path in folder.glob("state_*.pt") if _is_own(path))


def _is_own(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
