"""Embeddings on disk: `rgb.npy`, `ir.npy` and others (N, D), `rows.csv`, `store.json`.

Rows of all branches are those of `rows.csv`, in its order. Readers go through them in blocks and
need neither torch nor memory for the whole; other programs read the same files with `numpy.load`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.embed.ranges import Range, merged, missing
from hpctrain.embed.table import NAME as ROWS
from hpctrain.embed.table import Table
from hpctrain.errors import DataError
from hpctrain.provenance.digest import digest_of

PAGE = "store.json"
EXPANDED = "_expanded"
"""End of the name of a branch of vectors behind a modality's expander."""
JOURNALS = ".done"
"""Folder in which each rank notes what it has written."""
SHOWN = "shown.npy"
"""Numbers of the rows of which there are thumbnails, in `NAME_thumbs.npy` (M, H, W, C)."""
BLOCK_BYTES = 1 << 24

Array = NDArray[Any]


class Branch:
    """Embeddings of one modality, (N, D); slices are read from the file, as float32."""

    def __init__(self, path: Path) -> None:
        """Look at the file's head.

        Raises:
            DataError: it is no array of two axes.
        """
        self.path = path
        try:
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, is_fortran, self.dtype = read(file)
                self.offset = file.tell()
        except (OSError, ValueError) as e:
            raise DataError(f"{path}: no array of numpy ({e}); embed the run again") from e
        if len(shape) != 2 or is_fortran or self.dtype.kind != "f":
            raise DataError(
                f"{path}: found {self.dtype} of shape {shape}; a store holds N x D floats by rows"
            )
        self.shape: tuple[int, int] = shape
        if path.stat().st_size < self.offset + self.num_bytes:
            raise DataError(f"{path}: torn: it is shorter than its head says; embed the run again")

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def num_bytes(self) -> int:
        """Of the numbers on disk."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> Array:
        """Rows (n, D) float32, read without mapping where they are a slice."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._read(start, max(start, stop))
        return np.asarray(self.memmap()[rows], dtype=np.float32)

    def memmap(self) -> Array:
        """All of it, mapped into memory, in the type of the file; empty where there are no rows."""
        if not self.num_bytes:
            return np.empty(self.shape, self.dtype)
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)

    def blocks(self, size: int | None = None) -> Iterator[Array]:
        """All rows in order, some at a time."""
        size = size or max(1, BLOCK_BYTES // (4 * max(1, self.shape[1])))
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def _read(self, start: int, stop: int) -> Array:
        width = self.shape[1]
        found = np.fromfile(
            self.path,
            self.dtype,
            (stop - start) * width,
            offset=self.offset + start * width * self.dtype.itemsize,
        )
        return found.reshape(stop - start, width).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Store:
    """A store as its page describes it."""

    folder: Path
    page: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Read the page.

        Raises:
            DataError: it is no store.
        """
        path = folder / PAGE
        try:
            page = json.loads(path.read_text(encoding="utf-8"))
            store = cls(folder, page)
            _ = store.num_rows, store.dims, store.done
        except OSError as e:
            raise DataError(
                f"{path}: cannot be read ({e.strerror}); give a store that `hpctrain embed` wrote"
            ) from e
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise DataError(f"{path}: no page of a store ({e!r}); embed the run again") from e
        return store

    @property
    def num_rows(self) -> int:
        """N."""
        return int(self.page["num_rows"])

    @property
    def dims(self) -> dict[str, int]:
        """D of each branch, in order."""
        return {str(name): int(dim) for name, dim in self.page["dims"].items()}

    @property
    def facts(self) -> dict[str, Any]:
        """What the rows are of: checkpoint, its digest, weights, and so on."""
        return dict(self.page.get("facts") or {})

    @property
    def done(self) -> list[Range]:
        """Rows that are written, also those that are only noted in journals."""
        return merged([*self.page["done"], *_noted(self.folder)])

    @property
    def missing(self) -> list[Range]:
        """Rows that are not."""
        return missing(self.done, self.num_rows)

    @property
    def to_do(self) -> list[Range]:
        """Rows that were missing when this start began, alike on all ranks.

        Only the page counts, which nobody changes while ranks write; journals grow meanwhile.
        """
        return missing(self.page["done"], self.num_rows)

    @property
    def table(self) -> Table:
        """What is known of the rows."""
        return Table(self.folder / ROWS)

    def branch(self, name: str) -> Branch:
        """Embeddings of one modality.

        Raises:
            DataError: there is none of this name, or it is torn.
        """
        if name not in self.dims:
            raise DataError(
                f"{self.folder}: no branch {name!r}; choose from {', '.join(self.dims)}"
            )
        found = Branch(self.path(name))
        if found.shape != (self.num_rows, self.dims[name]):
            raise DataError(
                f"{found.path}: {found.shape[0]} x {found.shape[1]} numbers, the page says "
                f"{self.num_rows} x {self.dims[name]}; embed the run again"
            )
        return found

    def path(self, name: str) -> Path:
        """File of a branch."""
        return self.folder / f"{name}.npy"

    def check_complete(self) -> None:
        """Refuse a store in which rows are missing.

        Raises:
            DataError: says how many.
        """
        left = sum(stop - start for start, stop in self.missing)
        if left:
            raise DataError(
                f"{self.folder}: {left} of {self.num_rows} rows are not embedded yet; go on with "
                "the same `hpctrain embed` command"
            )

    def check_rows(self) -> None:
        """Refuse a table that is not the one whose rows were embedded.

        Raises:
            DataError: it is another one, or missing.
        """
        path = self.folder / ROWS
        try:
            is_own = digest_of(path) == self.page.get("rows_digest")
        except OSError as e:
            raise DataError(
                f"{path}: cannot be read ({e.strerror}); a store needs it, embed the run again"
            ) from e
        if not is_own:
            raise DataError(
                f"{path}: is not the table whose rows were embedded; embed the run again with "
                "--overwrite"
            )

    def shown(self) -> NDArray[np.int64]:
        """Rows that have thumbnails (M,); empty where there are none."""
        with suppress(FileNotFoundError):
            return np.asarray(np.load(self.folder / SHOWN), dtype=np.int64)
        return np.empty(0, np.int64)

    def thumbs(self, name: str) -> Array | None:
        """Thumbnails of those, (M, H, W, C) uint8, mapped; None where there are none."""
        path = self.folder / f"{name}_thumbs.npy"
        return np.load(path, mmap_mode="r") if path.is_file() else None


def is_store(folder: Path) -> bool:
    """Whether a folder holds a store."""
    return (folder / PAGE).is_file()


def _noted(folder: Path) -> list[Range]:
    """Ranges in journals; a last line without its end was torn, and does not count."""
    found = []
    for path in sorted((folder / JOURNALS).glob("*.txt")):
        for line in path.read_text().split("\n")[:-1]:
            start, stop = line.split()
            found.append((int(start), int(stop)))
    return found
