"""The sources of a conversion, opened, and the files that they consist of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctrain.convert.npy_store import NpyStore
from hpctrain.convert.options import Options
from hpctrain.convert.record_store import RecordStore
from hpctrain.convert.select import open_sources, select
from hpctrain.convert.store import Store
from hpctrain.convert.zarr_store import ZarrStore
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.pairs import FilePairs, from_folders, from_index
from hpctrain.index.store import index_paths

Stamps = dict[str, tuple[int, int]]
"""Size and time of change of each file."""


@dataclass(frozen=True)
class Opened:
    """What is converted."""

    store: Store
    sources: list[dict[str, str]]
    files: tuple[Path, ...]
    attributes: list[Mapping[str, Any]]
    pairs: FilePairs | None = None
    """What a store of records packs."""


def open_all(options: Options) -> Opened:
    """Open the sources and the store that takes them.

    Raises:
        ConfigError: an option makes no sense for them.
        DataError: one cannot be opened.
    """
    if options.to == "records":
        pairs = _pairs(options)
        described = [{"path": str(p.resolve()), "kind": "pairs"} for p in options.sources]
        files = tuple(path for row in pairs.rows for path in row.files)
        if len(options.sources) == 1:
            files += index_paths(options.sources[0])
        return Opened(RecordStore(pairs, options), described, files, [], pairs)
    sources = open_sources(options)
    named = select(sources, options)
    store: Store = (NpyStore if options.to == "npy" else ZarrStore)(named, options)
    described = [{"path": str(s.path.resolve()), "kind": s.kind} for s in sources]
    folders = {array.folder for _, array in named if array.folder is not None}
    inside = (p for folder in sorted(folders) for p in sorted(folder.rglob("*")) if p.is_file())
    files = tuple(dict.fromkeys([*(p for s in sources for p in s.files), *inside]))
    tables = [*(s.attributes for s in sources), *(a.attributes for _, a in named)]
    return Opened(store, described, files, tables)


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


def stamps_of(files: Sequence[Path]) -> Stamps:
    """What tells that a file was changed.

    Raises:
        DataError: one cannot be read, or has a name that no list of digests can hold.
    """
    table: Stamps = {}
    for path in files:
        if not _is_text(name := str(path.resolve())):
            raise DataError(f"{name!r}: its name is no UTF-8; rename it, or the folder that has it")
        try:
            status = path.stat()
        except OSError as e:
            raise DataError(f"{path}: cannot be read: {e.strerror}") from e
        table[name] = status.st_size, status.st_mtime_ns
    return table


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
