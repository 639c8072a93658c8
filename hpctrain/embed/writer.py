"""Filling a store: made once, written in disjoint ranges by several ranks, gone on with later.

A range counts as written when its numbers are on disk and the rank's journal says so after that.
Writing is by position, not by mapping: memory stays that of one block, and shared file systems
take it from several nodes.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpctrain.embed.store import JOURNALS, PAGE, SHOWN, Store, is_store
from hpctrain.embed.table import NAME as ROWS
from hpctrain.errors import ConfigError, DataError
from hpctrain.provenance import Stamp, embed
from hpctrain.provenance.digest import digest_of
from hpctrain.train.json_file import write_json

Dtype = Literal["float16", "float32"]
_SAME = ("num_rows", "dims", "dtype", "rows_digest", "facts")
Array = NDArray[Any]


def make_store(
    folder: Path,
    num_rows: int,
    dims: Mapping[str, int],
    dtype: Dtype,
    facts: Mapping[str, Any],
    rows: Path | None = None,
) -> Store:
    """Make an empty store, or go on with the one that is there; on one rank.

    Args:
        folder: of the store.
        num_rows: N.
        dims: D of each branch.
        dtype: of the numbers on disk.
        facts: what the rows are of, such as the checkpoint's digest.
        rows: table in the folder that becomes `rows.csv`; None: that is there already.

    Raises:
        ConfigError: it holds a store of something else, which stays as it is.
    """
    page: dict[str, Any] = {
        "num_rows": num_rows,
        "dims": dict(dims),
        "dtype": dtype,
        "rows_digest": digest_of(rows or folder / ROWS),
        "facts": dict(facts),
    }
    if is_store(folder):
        store = Store.open(folder)
        differs = [key for key in _SAME if store.page.get(key) != page[key]]
        if differs:
            raise ConfigError(
                f"{folder}: holds embeddings of something else ({', '.join(differs)} differ); "
                "take --overwrite to replace them, or another --out"
            )
        if rows is not None:
            rows.replace(folder / ROWS)
        _note(store)
        return Store.open(folder)
    if rows is not None:
        rows.replace(folder / ROWS)
    for name, dim in dims.items():
        _make_file(folder / f"{name}.npy", (num_rows, dim), np.dtype(dtype))
    shutil.rmtree(folder / JOURNALS, ignore_errors=True)
    write_json(folder / PAGE, {**page, "done": []})
    return Store.open(folder)


def remove_store(folder: Path) -> None:
    """Take a store away, the page first, so that nothing takes the rest for whole."""
    (folder / PAGE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def finish(store: Store, stamp: Stamp) -> Store:
    """Note on the page what all ranks have written, and stamp the files; on one rank.

    Raises:
        DataError: rows are missing.
    """
    _note(store)
    store = Store.open(store.folder)
    store.check_complete()
    thumbs = [path.stem for path in sorted(store.folder.glob("*_thumbs.npy"))]
    for path in [*map(store.path, [*store.dims, *thumbs]), store.folder / ROWS]:
        embed(path, stamp)
    embed(store.folder / PAGE, stamp)
    return store


def make_thumbs(store: Store, shown: Array, shapes: Mapping[str, tuple[int, int, int]]) -> None:
    """Make empty files for thumbnails, unless they are there; on one rank.

    Args:
        store: whose.
        shown: (M,) numbers of rows, in order.
        shapes: (H, W, C) of each branch.

    Raises:
        ConfigError: rows are embedded already, and have other thumbnails.
    """
    there = store.shown()
    if np.array_equal(there, shown):
        return
    if store.page["done"]:
        raise ConfigError(
            f"{store.folder}: has thumbnails of {len(there)} pairs, and {len(shown)} are asked "
            "for, which pairs that are embedded already would lack; take --overwrite to embed all "
            "again, or the first --thumbs"
        )
    (store.folder / SHOWN).unlink(missing_ok=True)
    for path in store.folder.glob("*_thumbs.npy"):
        path.unlink()
    if not len(shown):
        return
    for name, shape in shapes.items():
        _make_file(store.folder / f"{name}_thumbs.npy", (len(shown), *shape), np.dtype(np.uint8))
    part = store.folder / f".{SHOWN}.{os.getpid()}.npy"
    np.save(part, np.asarray(shown, np.int64))
    part.replace(store.folder / SHOWN)


class Writer:
    """Writes blocks of one rank; to be closed."""

    def __init__(self, store: Store, rank: int) -> None:
        """Open the files and a journal of this rank."""
        self._store, self._shown = store, store.shown()
        self._outputs = {name: _Output(store.path(name)) for name in store.dims}
        thumbs = {name: store.path(f"{name}_thumbs") for name in store.dims}
        self._thumbs = {name: _Output(path) for name, path in thumbs.items() if path.is_file()}
        folder = store.folder / JOURNALS
        folder.mkdir(exist_ok=True)
        # a number that no journal has: what is in others stays as it is
        names = (folder / f"{rank}-{os.getpid()}-{i}.txt" for i in range(1 << 20))
        self._journal = next(path for path in names if not path.exists()).open("x")

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for output in (*self._outputs.values(), *self._thumbs.values()):
            output.close()
        self._journal.close()

    def thumb_rows(self, start: int, stop: int) -> Array:
        """Which rows of a range have thumbnails, as numbers from its first row on."""
        first, last = np.searchsorted(self._shown, (start, stop))
        return self._shown[first:last] - start

    def write_thumbs(self, start: int, pictures: Mapping[str, Array]) -> None:
        """Write the thumbnails of the shown rows from one on, (m, H, W, C) uint8 of each branch."""
        first = int(np.searchsorted(self._shown, start))
        for name, own in pictures.items():
            self._thumbs[name].put(first, own)

    def write(self, start: int, rows: Mapping[str, Array]) -> None:
        """Write rows of all branches, which count when this returns.

        Args:
            start: number of the first.
            rows: (n, D) of each branch.

        Raises:
            DataError: numbers that are not finite, in the type of the file too.
        """
        stops = {start + len(own) for own in rows.values()}
        assert len(stops) == 1, "branches have unequal numbers of rows"
        assert set(rows) == set(self._outputs), "branches are missing"
        for name, own in rows.items():
            self._outputs[name].put(start, self._checked(name, start, own))
        for output in self._outputs.values():
            output.sync()
        self._journal.write(f"{start} {stops.pop()}\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _checked(self, name: str, start: int, rows: Array) -> Array:
        """The rows as they will be stored."""
        output = self._outputs[name]
        with np.errstate(over="ignore"):
            own = rows.astype(output.dtype)
        bad = ~np.isfinite(own).all(axis=1)
        if not bad.any():
            return own
        at = start + int(bad.argmax())
        wider = ", or take --dtype float32" if np.isfinite(rows).all() else ""
        raise DataError(
            f"{output.path}: the embedding of {self._store.table.column('id')[at]} (row {at}) is "
            f"not finite in {output.dtype}; look at its picture and at the training's losses{wider}"
        )


class _Output:
    """A file of numpy that is written by rows, wherever they are."""

    def __init__(self, path: Path) -> None:
        array = np.load(path, mmap_mode="r")
        self.path, self.dtype, self._shape = path, array.dtype, array.shape[1:]
        self._head = path.stat().st_size - array.nbytes
        self._width = math.prod(self._shape) * self.dtype.itemsize
        self._file = os.open(path, os.O_WRONLY)

    def put(self, row: int, rows: Array) -> None:
        """Write rows from one on."""
        assert rows.shape[1:] == self._shape, f"{rows.shape[1:]} for {self._shape}"
        assert rows.dtype == self.dtype, f"{rows.dtype} for {self.dtype}"
        if not rows.size:
            return
        view = np.ascontiguousarray(rows).data.cast("B")
        at = self._head + row * self._width
        while view:
            written = os.pwrite(self._file, view, at)
            view, at = view[written:], at + written

    def sync(self) -> None:
        """Bring it to the disk."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _make_file(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """A file of numpy of this shape; what is not written in it takes no place."""
    with path.open("wb") as file:
        head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**head, "shape": shape})
        file.truncate(file.tell() + math.prod(shape) * dtype.itemsize)
        os.fsync(file.fileno())


def _note(store: Store) -> None:
    """Bring what journals say onto the page, then take them away."""
    page = {**store.page, "done": [list(part) for part in store.done]}
    write_json(store.folder / PAGE, page)
    shutil.rmtree(store.folder / JOURNALS, ignore_errors=True)
