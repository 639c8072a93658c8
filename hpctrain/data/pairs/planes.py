"""The decoded pictures of each sample, through the store where there is one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.pair_data import PairModality, Pairs
from hpctrain.data.pairs.decode import (
    Cut,
    Plane,
    Size,
    cut_of,
    optical_plane,
    thermal_plane,
    values_of,
)
from hpctrain.data.pairs.store import PlaneStore, slot_bytes
from hpctrain.errors import DataError
from hpctrain.index.table import Index, Row
from hpctrain.log import logger

_VERSION = 1
"""Of the way from a file to a plane; another number makes stores of their own."""


class Planes:
    """Reads planes of the rows of an index; safe for threads."""

    def __init__(self, pairs: Pairs, index: Index, folder: Path | None) -> None:
        """Find out which kinds of planes are needed.

        Args:
            pairs: the `data:` block.
            index: what the run reads; its order numbers the slots of a store.
            folder: of the stores; None: each file is decoded each time.
        """
        self._pairs, self._index = pairs, index
        self._number = {row.id: number for number, row in enumerate(index.rows)}
        self._stores: dict[tuple[str, Size], PlaneStore] = {}
        if folder is None:
            return
        count = len(index.rows)
        kept = kept_pairs(pairs, count)
        for (kind, size), shape in plane_shapes(pairs).items():
            recipe = {"kind": kind, "set": self._set_digest(kind, size), "decoder": _VERSION}
            try:
                store = PlaneStore(folder, recipe, shape, count, kept)
            except OSError as e:
                logger.warning("%s: %s; pictures are decoded each time", folder, e.strerror)
                return
            self._stores[kind, size] = store

    @property
    def missing_bytes(self) -> int:
        """Most room on the disk that the stores will yet take; 0 without stores."""
        return sum(store.missing_bytes for store in self._stores.values())

    def read(self, row: Row, kind: str, size: Size) -> NDArray[np.generic]:
        """A plane of a row.

        Args:
            row: of the index.
            kind: rgb, grey or thermal.
            size: rows and columns of the whole picture.

        Returns:
            (H, W, 3) or (H, W, 1) uint8, or (H, W, 1) float32 of thermal values.

        Raises:
            DataError: the file cannot be decoded, or was changed since it was indexed.
        """
        plane = self._plane(row, kind, size)
        if kind == "thermal":
            plane = values_of(plane)
        return plane if plane.ndim == 3 else plane[..., None]

    def _plane(self, row: Row, kind: str, size: Size) -> Plane:
        column = self._pairs.thermal.column if kind == "thermal" else self._pairs.optical.column
        path, sha256 = self._index.root / row[column], row[f"{column}_sha256"]
        cut = self._cut_for(row, kind)
        if cut is None:
            decode = partial(thermal_plane, path, sha256, size)
        else:
            decode = partial(optical_plane, path, sha256, cut, size, is_grey=kind == "grey")
        store = self._stores.get((kind, size))
        return (
            decode()
            if store is None
            else store.get(self._number[row.id], self._source(row, kind, size), decode)
        )

    def _source(self, row: Row, kind: str, size: Size) -> str:
        """What a plane follows from."""
        column = self._pairs.thermal.column if kind == "thermal" else self._pairs.optical.column
        sha256 = row[f"{column}_sha256"] if column in row.columns.modalities else ""
        return f"{sha256} {kind} {size} {self._cut_for(row, kind)}"

    def _set_digest(self, kind: str, size: Size) -> str:
        """Digest of all samples and what their planes follow from.

        Runs of equal ones share a store; others, which would write into the same slots, do not.
        """
        found = hashlib.sha256()
        for row in self._index.rows:
            found.update(f"{row.id}\0{self._source(row, kind, size)}\0".encode())
        return found.hexdigest()[:32]

    def _cut_for(self, row: Row, kind: str) -> Cut | None:
        return None if kind == "thermal" else self.cut(row)

    def cut(self, row: Row) -> Cut:
        """The part of a row's optical picture that its thermal one shows."""
        column = self._pairs.thermal.column
        name = row[column] if column in row.columns.modalities else ""
        mount = row["mount"] if "mount" in row.columns.places else ""
        return cut_of(self._pairs.optical, mount or row["node"], PurePosixPath(name).name)


def plane_shapes(pairs: Pairs) -> dict[tuple[str, Size], tuple[int, ...]]:
    """Shapes of the planes of a pair, by kind and size."""
    return {
        (kind, modality.size): (*modality.size, 3) if kind == "rgb" else modality.size
        for _, modality in pairs.modalities.items()
        for kind in kinds_of(modality)
    }


def pair_bytes(pairs: Pairs) -> int:
    """Most bytes that a pair takes in the stores."""
    return sum(map(slot_bytes, plane_shapes(pairs).values()))


def kept_pairs(pairs: Pairs, count: int) -> int:
    """How many of the first pairs of an index `cache_limit_gb` lets be kept."""
    limit = pairs.cache_limit_gb
    return count if limit is None else min(count, int(limit * 1e9 // pair_bytes(pairs)))


def kinds_of(modality: PairModality) -> tuple[str, ...]:
    """Which planes the channels of a modality are made of."""
    if modality.channels == "grey+temperature":
        return "grey", "thermal"
    return (modality.channels,) if modality.is_optical else ("thermal",)


def check_rows(rows: Sequence[Row], split: str) -> None:
    """Refuse a split without samples.

    Raises:
        DataError: says what to do.
    """
    if not rows:
        raise DataError(
            f"index: no usable sample for {split}; divide the index with: hpctrain index split"
        )
