"""Convert sources to a store: in bounded memory, to be gone on with after any end, compared.

All is written to `OUT.partial`, which holds the journal and the store; the store gets its name when
it is whole. So `OUT` is complete or is not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpctrain import __version__
from hpctrain.convert.card import check_whole, licence_of, read_page, update_card, write_card
from hpctrain.convert.journal import Journal
from hpctrain.convert.opened import Opened, Stamps, open_all, stamps_of
from hpctrain.convert.options import Options
from hpctrain.convert.units import Progress, Unit, run_units
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.pairs import FilePairs
from hpctrain.provenance.digest import digest_of

PARTIAL, DATA, PREPARED = ".partial", "data", "prepared"
ADVICE = "remove it, or choose another --out"


@dataclass(frozen=True)
class Result:
    """What came of a conversion."""

    out: Path
    num_bytes: int
    num_files: int
    was_complete: bool
    """It was there already, of the same sources and options; at most its card is new."""
    has_new_card: bool
    """The card of what was there now says another licence."""
    is_verified: bool
    left_out: int = 0
    """Pairs whose status in the index is not ok."""


def convert(options: Options, progress: Progress) -> Result:
    """Convert, or go on with a conversion that was interrupted.

    Args:
        options: sources, store and selection.
        progress: is told how far it is.

    Raises:
        ConfigError: something else is in the way, room is short, or an option makes no sense.
        DataError: a source is damaged, or what was written is not what the source holds.
    """
    out = options.out.resolve() if options.out.is_symlink() else options.out
    options = replace(options, out=out)
    opened = open_all(options)
    stamps = stamps_of(opened.files)
    asked = _asked(options, stamps)
    page = read_page(out)
    if page is not None and page.get("request") == _digest(asked):
        return _again(options, opened, asked, page, progress)
    _refuse_other_content(out)
    partial = _partial(out)
    journal = Journal(partial, asked, ADVICE)
    is_of_use = True
    try:
        _work(options, opened, partial / DATA, journal, progress)
        if stamps_of(opened.files) != stamps:
            _forget_all_files(journal)
            raise DataError(
                f"{options.sources[0]}: files changed while they were converted; convert again"
            )
        _finish(options, opened, partial / DATA, journal, asked)
        os.replace(partial / DATA, out)
        _sync(out.parent)
    except ConfigError:
        is_of_use = bool(_files(journal))
        raise
    finally:
        journal.close()
        if not is_of_use:  # it would only be in the way of the command as it is mended
            shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(partial)
    return _result(options, opened)


def _again(
    options: Options,
    opened: Opened,
    asked: dict[str, Any],
    page: dict[str, Any],
    progress: Progress,
) -> Result:
    """What an earlier conversion has left to do: a comparison, another licence."""
    check_whole(options.out, page)
    partial = _partial(options.out)
    is_compared = options.verify and not page["verified"]
    if is_compared:
        journal = Journal(partial, asked, ADVICE)
        try:
            checks = opened.store.checks(options.out)
            run_units("comparing", checks, journal, opened.store.workers, progress)
        finally:
            journal.close()
        page["verified"] = True
    is_new = options.licence not in (None, page["licence"])
    page["licence"] = options.licence if is_new else page["licence"]
    if is_compared or is_new:
        update_card(options.out, page)
    if partial.exists():  # by the comparison, or left by a kill between the last two steps
        with contextlib.suppress(ConfigError):  # what is not of this conversion is left alone
            Journal(partial, asked, ADVICE).close()
            shutil.rmtree(partial)
    return _result(options, opened, was_complete=not is_compared, has_new_card=is_new)


def _asked(options: Options, stamps: Stamps) -> dict[str, Any]:
    """What the journal and the card are for; a change of any of it is another conversion."""
    listed = hashlib.sha256(json.dumps(stamps).encode()).hexdigest()
    page = {"version": __version__, **options.asked(), "sources": listed}
    whole: dict[str, Any] = json.loads(json.dumps(page))
    return whole


def _partial(out: Path) -> Path:
    whole = Path(os.path.abspath(out))
    return whole.with_name(whole.name + PARTIAL)


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
    options: Options, opened: Opened, folder: Path, journal: Journal, progress: Progress
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
    try:
        run_units("writing", store.units(folder), journal, store.workers, progress)
    except ConfigError as e:
        if not isinstance(e, DataError):  # with this option it never ends otherwise
            _forget_all_files(journal)
        raise
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
        return {"sha256": digest_of(path)}

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


def _forget_all_files(journal: Journal) -> None:
    for name, unit in list(journal.done.items()):
        if "files" in unit:
            journal.forget(name)


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
    options: Options, opened: Opened, folder: Path, journal: Journal, asked: Mapping[str, Any]
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


def _result(
    options: Options, opened: Opened, *, was_complete: bool = False, has_new_card: bool = False
) -> Result:
    files = [p for p in options.out.rglob("*") if p.is_file()]
    return Result(
        options.out,
        sum(p.stat().st_size for p in files),
        len(files),
        was_complete,
        has_new_card,
        options.verify,
        int(opened.store.facts().get("left_out", 0)),
    )
