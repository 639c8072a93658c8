"""Convert sources to a store: in bounded memory, to be gone on with after any end, compared.

All is written to `OUT.partial`, which holds the journal and the store; the store gets its name when
it is whole. So `OUT` is complete or is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctrain import __version__
from hpctrain.convert.card import licence_of, read_page, write_card
from hpctrain.convert.journal import Journal
from hpctrain.convert.npy_store import NpyStore
from hpctrain.convert.options import Options
from hpctrain.convert.record_store import RecordStore
from hpctrain.convert.select import open_sources, select
from hpctrain.convert.store import Store
from hpctrain.convert.units import Progress, Unit, run_units
from hpctrain.convert.zarr_store import ZarrStore
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.pairs import FilePairs, from_folders, from_index
from hpctrain.index.store import index_paths

PARTIAL, DATA, PREPARED = ".partial", "data", "prepared"
READ_BYTES = 1 << 22
Stamps = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Result:
    """What came of a conversion."""

    out: Path
    num_bytes: int
    num_files: int
    was_complete: bool
    """It was there already, of the same sources and options; nothing was done."""
    is_verified: bool
    left_out: int = 0
    """Pairs whose status in the index is not ok."""


@dataclass(frozen=True)
class _Opened:
    store: Store
    sources: list[dict[str, str]]
    files: tuple[Path, ...]
    attributes: list[Mapping[str, Any]]
    pairs: FilePairs | None = None
    """What a store of records packs."""


def convert(options: Options, progress: Progress) -> Result:
    """Convert, or go on with a conversion that was interrupted.

    Args:
        options: sources, store and selection.
        progress: is told how far it is.

    Raises:
        ConfigError: something else is in the way, room is short, or an option makes no sense.
        DataError: a source is damaged, or what was written is not what the source holds.
    """
    out = options.out
    opened = _open(options)
    stamps = _stamps(opened.files)
    asked = _asked(options, stamps)
    whole = Path(os.path.abspath(out))
    partial = whole.with_name(whole.name + PARTIAL)
    if _is_complete(out, asked):
        shutil.rmtree(partial, ignore_errors=True)  # left by a kill between the last two steps
        return _result(options, opened, was_complete=True)
    _refuse_other_content(out)
    journal = Journal(partial, asked, "remove it, or choose another --out")
    try:
        _work(options, opened, partial / DATA, journal, progress)
        if _stamps(opened.files) != stamps:
            raise DataError(
                f"{options.sources[0]}: files changed while they were converted; "
                f"remove {partial} and convert again"
            )
        _finish(options, opened, partial / DATA, journal, asked)
        os.replace(partial / DATA, out)
        _sync(out.parent)
    finally:
        journal.close()
    shutil.rmtree(partial)
    return _result(options, opened, was_complete=False)


def _open(options: Options) -> _Opened:
    if options.to == "records":
        pairs = _pairs(options)
        described = [{"path": str(p.resolve()), "kind": "pairs"} for p in options.sources]
        files = tuple(path for row in pairs.rows for path in row.files)
        if len(options.sources) == 1:
            files += index_paths(options.sources[0])
        return _Opened(RecordStore(pairs, options), described, files, [], pairs)
    sources = open_sources(options)
    named = select(sources, options)
    store: Store = (NpyStore if options.to == "npy" else ZarrStore)(named, options)
    described = [{"path": str(s.path.resolve()), "kind": s.kind} for s in sources]
    folders = {array.folder for _, array in named if array.folder is not None}
    inside = (p for folder in sorted(folders) for p in sorted(folder.rglob("*")) if p.is_file())
    files = tuple(dict.fromkeys([*(p for s in sources for p in s.files), *inside]))
    tables = [*(s.attributes for s in sources), *(a.attributes for _, a in named)]
    return _Opened(store, described, files, tables)


def _pairs(options: Options) -> FilePairs:
    if len(options.sources) == 1 and _is_index(options.sources[0]):
        return from_index(options.sources[0], options.keep_off_law)
    for path in options.sources:
        if not path.exists():
            raise DataError(f"{path}: does not exist; give a pair index or folders of pictures")
    if len(options.sources) > 1 and all(path.is_dir() for path in options.sources):
        return from_folders(options.sources, options.keep_off_law)
    raise ConfigError(
        "--to records: give one pair index (its CSV, or a folder with index.csv), or two or more "
        "folders whose files have the same stems"
    )


def _is_index(path: Path) -> bool:
    """A CSV or JSON by its name, or what `hpctrain index` would take for one."""
    known = path.suffix in (".csv", ".json") and path.is_file()
    return known or any(place.is_file() for place in index_paths(path))


def _stamps(files: Sequence[Path]) -> Stamps:
    table: Stamps = {}
    for path in files:
        try:
            status = path.stat()
        except OSError as e:
            raise DataError(f"{path}: cannot be read: {e.strerror}") from e
        table[str(path.resolve())] = status.st_size, status.st_mtime_ns
    return table


def _asked(options: Options, stamps: Stamps) -> dict[str, Any]:
    """What the journal and the card are for; a change of any of it is another conversion."""
    listed = hashlib.sha256(json.dumps(stamps).encode()).hexdigest()
    page = {"version": __version__, **options.asked(), "sources": listed}
    whole: dict[str, Any] = json.loads(json.dumps(page))
    return whole


def _is_complete(out: Path, asked: Mapping[str, Any]) -> bool:
    page = read_page(out)
    return page is not None and page.get("request") == _digest(asked)


def _digest(asked: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _refuse_other_content(out: Path) -> None:
    """Leave alone what is there."""
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(
            f"{out}: is there already, and not of these sources and options; "
            "remove it, or choose another --out"
        )
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give the name of a new folder")
    if not out.parent.is_dir():
        raise ConfigError(f"{out.parent}: is no folder; make it, or choose another --out")


def _work(
    options: Options, opened: _Opened, folder: Path, journal: Journal, progress: Progress
) -> None:
    """All that can be interrupted and gone on with."""
    store = opened.store
    if PREPARED not in journal.done:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    _forget_lost_files(folder, journal)
    _check_room(folder, store.num_bytes)
    store.prepare(folder)
    if PREPARED not in journal.done:
        journal.add(PREPARED, {})
    sums = [_sum_unit(f"source {path.resolve()}", path) for path in opened.files]
    run_units("reading digests", sums, journal, options.workers, progress)
    _check_indexed(opened.pairs, journal)
    run_units("writing", store.units(folder), journal, store.workers, progress)
    if options.verify:
        run_units("comparing", store.checks(folder), journal, store.workers, progress)
    left = [
        _sum_unit(f"sum {name}", folder / name)
        for name, (_, digest) in _files(journal).items()
        if digest is None
    ]
    run_units("digests", left, journal, options.workers, progress)


def _check_indexed(pairs: FilePairs | None, journal: Journal) -> None:
    """Refuse files that are not those of the index any more, before they get its ids."""
    for row in pairs.rows if pairs else ():
        for path, digest in zip(row.files, row.digests, strict=False):
            if digest and journal.done[f"source {path.resolve()}"]["sha256"] != digest:
                raise DataError(
                    f"{path}: of {row.id!r}, has changed since it was indexed; restore it, or "
                    "build the index again with: hpctrain index build"
                )


def _sum_unit(name: str, path: Path) -> Unit:
    def run() -> dict[str, Any]:
        sha = hashlib.sha256()
        with path.open("rb") as f:
            while block := f.read(READ_BYTES):
                sha.update(block)
        return {"sha256": sha.hexdigest()}

    return Unit(name, path.stat().st_size, run)


def _files(journal: Journal) -> dict[str, tuple[int, str | None]]:
    """Files that were written, with size and digest (None: not known yet)."""
    table: dict[str, tuple[int, str | None]] = {}
    for unit in journal.done.values():
        for name, (size, digest) in unit.get("files", {}).items():
            table[name] = size, digest
    return table


def _forget_lost_files(folder: Path, journal: Journal) -> None:
    """Units whose files are not there as they were written are done again."""
    for name, unit in list(journal.done.items()):
        for file, (size, _) in unit.get("files", {}).items():
            path = folder / file
            if not path.is_file() or path.stat().st_size != size:
                for gone in (name, f"check {name}", f"sum {file}"):
                    journal.forget(gone)


def _check_room(folder: Path, needed: int) -> None:
    # what an earlier start has written is counted for free
    there = sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file())
    free = shutil.disk_usage(folder).free
    if needed - there > free:
        raise ConfigError(
            f"{folder.parent}: {(needed - there) / 1e9:.1f} GB more are needed and "
            f"{free / 1e9:.1f} GB are free; make room, or choose another --out"
        )


def _finish(
    options: Options, opened: _Opened, folder: Path, journal: Journal, asked: Mapping[str, Any]
) -> None:
    """Write the card and the digests."""
    done = journal.done
    sources = {
        str(path.resolve()): done[f"source {path.resolve()}"]["sha256"] for path in opened.files
    }
    files = {
        name: digest or done[f"sum {name}"]["sha256"]
        for name, (_, digest) in _files(journal).items()
    }
    for path in folder.rglob("*.part"):
        path.unlink()  # left by a kill
    for path in folder.rglob("zarr.json"):
        files[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    page = {
        "request": _digest(asked),
        "sources": opened.sources,
        "options": json.loads(json.dumps(options.asked())),
        "stored": opened.store.facts(),
        "verified": options.verify,
        "licence": licence_of(options.licence, opened.attributes),
    }
    write_card(folder, page, sources, files)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _result(options: Options, opened: _Opened, *, was_complete: bool) -> Result:
    files = [p for p in options.out.rglob("*") if p.is_file()]
    return Result(
        options.out,
        sum(p.stat().st_size for p in files),
        len(files),
        was_complete,
        options.verify,
        int(opened.store.facts().get("left_out", 0)),
    )
