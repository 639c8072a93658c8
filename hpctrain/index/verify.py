"""Are the files of an index still what was indexed? All, some, or those that were touched."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.files.facts import Fact, parse_fact
from hpctrain.index.files.pool import Pool
from hpctrain.index.files.scan import files_below
from hpctrain.index.pairing.rows import folder_fact
from hpctrain.index.table import FACETS, SEPARATOR, Index, Row


class Fault(NamedTuple):
    """One file that is not what was indexed."""

    id: str
    path: str
    code: str
    """missing, unreadable, size, or content."""
    text: str


class Verdict(NamedTuple):
    """What was compared, and what was found."""

    faults: list[Fault]
    num_samples: int
    num_files: int
    num_read: int
    num_touched: int
    """Files of another time of change whose content is the same."""


class _File(NamedTuple):
    id: str
    path: str
    size: str
    sha256: str
    mtime_ns: str
    members: tuple[str, ...]
    """Files of a folder that counts as one; else empty."""


def verify_files(
    index: Index,
    *,
    sample: int | None = None,
    seed: int = 0,
    changed_only: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Compare files with their rows; bad samples, too, as their files must not change unnoticed.

    Args:
        index: rows and where their files are.
        sample: how many samples are looked at, drawn by `seed`; None: all.
        seed: of the draw.
        changed_only: read only files whose size or time of change differ.
        progress: called with a line before much is read.

    Raises:
        DataError: the root is gone.
    """
    if not index.root.is_dir():
        raise DataError(
            f"{index.root}: the index's root is no folder here; mount it, or build the index again "
            "where the data are now"
        )
    rows = _drawn(index.rows, sample, seed)
    seen: set[tuple[str, ...]] = set()
    files = [file for row in rows for file in _files(index, row, seen)]
    faults, to_read, moved_clock = [], [], set()
    for file in files:
        fault, is_touched = _compare(index.root, file)
        if fault is not None:
            faults.append(fault)
            continue
        if is_touched:
            moved_clock.add(file.path)
        if is_touched or not changed_only:
            to_read.append(file)
    names = list(dict.fromkeys(n for f in to_read for n in (f.members or (f.path,))))
    if progress and len(names) > 10_000:
        progress(f"reading {len(names)} files")
    facts = read_all(index.root, names)
    wrong = [fault for file in to_read if (fault := _content(file, facts)) is not None]
    changed = {fault.path for fault in wrong}
    order = {file: number for number, file in enumerate((f.id, f.path) for f in files)}
    faults = sorted([*faults, *wrong], key=lambda f: order[f.id, f.path])
    return Verdict(faults, len(rows), len(files), len(names), len(moved_clock - changed))


def read_all(root: Path, names: Sequence[str]) -> dict[str, Fact]:
    """Facts of files as they are now, without any cache."""
    facts: dict[str, Fact] = {}
    lock = threading.Lock()

    def take(block: bytes) -> None:
        with lock:
            for line in block.decode().split("\n")[:-1]:
                name, _, fact = line.partition("\t")
                facts[name] = parse_fact(fact)

    Pool(root, names, "none", take).wait()
    return facts


def _drawn(rows: Sequence[Row], sample: int | None, seed: int) -> Sequence[Row]:
    if sample is None or sample >= len(rows):
        return rows
    chosen = sorted(random.Random(seed).sample(range(len(rows)), sample))  # noqa: S311
    return [rows[i] for i in chosen]


def _files(index: Index, row: Row, seen: set[tuple[str, ...]]) -> Iterator[_File]:
    """Files of a row but those of earlier ones, as windows of a volume share; adds to `seen`."""
    for name in index.columns.modalities:
        facets = (row[f"{name}{facet}"].split(SEPARATOR) for facet in FACETS[1:])
        for path, size, digest, mtime in zip(row.paths(name), *facets, strict=False):
            key = (path, size, digest, mtime)
            if digest and key not in seen:  # what could not be read when it was indexed has none
                seen.add(key)
                members = _members(index, name, path) if path.endswith("/") else ()
                yield _File(row.id, path, size, digest, mtime, members)


def _members(index: Index, modality: str, folder: str) -> tuple[str, ...]:
    rule = index.facts.get("rule", {}).get("modalities", {}).get(modality, {})
    if not (index.root / folder).is_dir():
        return ()
    return tuple(files_below(index.root, folder, rule.get("members", "*"), modality))


def _compare(root: Path, file: _File) -> tuple[Fault | None, bool]:
    """A fault that needs no reading, and whether the time of change is another."""
    names = file.members or (file.path,)
    try:
        status = [os.stat(root / name) for name in names]
    except OSError as e:
        code = "missing" if isinstance(e, FileNotFoundError) else "unreadable"
        return Fault(file.id, file.path, code, e.strerror or str(e)), False
    if file.path.endswith("/") and not file.members:
        return Fault(file.id, file.path, "missing", "no file is left in it"), False
    size = sum(s.st_size for s in status)
    if str(size) != file.size:
        return Fault(file.id, file.path, "size", f"{size} bytes, {file.size} when indexed"), False
    return None, str(max(s.st_mtime_ns for s in status)) != file.mtime_ns


def _content(file: _File, facts: dict[str, Fact]) -> Fault | None:
    own = {name: facts[name] for name in (file.members or (file.path,))}
    fault = next((f.fault for f in own.values() if not f.sha256), "")
    if fault:
        return Fault(file.id, file.path, "unreadable", fault.removeprefix("unreadable: "))
    fact = folder_fact(file.path, own) if file.members else own[file.path]
    if fact.sha256 != file.sha256:
        return Fault(file.id, file.path, "content", "has changed since it was indexed")
    return None
