"""Rows of an index that somebody built, for a training on pairs of pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.fields.build import root_of
from hpctrain.index.leaks import check_leaks
from hpctrain.index.query import row_filter
from hpctrain.index.read import verify_index
from hpctrain.index.store import load_index
from hpctrain.index.table import Columns, Index, Row, tool_facts

if TYPE_CHECKING:
    from hpctrain.config.pair_data import Pairs

PICTURES = (".jpg", ".jpeg", ".png")
CAMERA = (".csv", ".raw")


def build_pairs_index(pairs: Pairs, cwd: Path) -> Index:
    """The samples of an index that fit `data.where`, and what of them has not changed.

    Args:
        pairs: the `data:` block.
        cwd: folder that relative paths start from.

    Raises:
        DataError: see `pair_rows`; no such folder; a file that was changed since it was indexed.
    """
    rows = pair_rows(pairs, cwd)
    facts = {"rule": {"kind": pairs.kind, "index": pairs.index, "where": pairs.where}}
    index = Index(root_of(pairs, cwd), rows, {**facts, **tool_facts()}, rows[0].columns)
    verify_index(index)
    return index


def pair_rows(pairs: Pairs, cwd: Path) -> list[Row]:
    """Usable rows that fit `data.where`, with the modalities that are read.

    Args:
        pairs: the `data:` block.
        cwd: folder that a relative path of the index starts from.

    Raises:
        DataError: the index cannot be read or lacks a modality, the expression is wrong, a split
            has no sample, content is in two splits, or a file is of a kind that cannot be read.
    """
    where = f"data.index: {pairs.index}"
    table = load_index(cwd / Path(pairs.index).expanduser())
    needed = _needed(pairs)
    for key, name in needed.items():
        if name not in table.columns.modalities:
            raise DataError(
                f"{where}: has no modality {name!r} for data.{key}.column; it has "
                f"{', '.join(table.columns.modalities)}"
            )
    try:
        check_leaks(table)
    except DataError as e:
        raise DataError(f"{where}: {e}") from e
    found = [row for row in _fitting(pairs, table) if row.status == "ok"]
    _check_splits(pairs, found)
    kept = {*needed.values(), pairs.thermal.column} & set(table.columns.modalities)
    columns = Columns(
        tuple(name for name in table.columns.modalities if name in kept), table.columns.free
    )
    rows = [Row(columns, [row[name] for name in columns.names]) for row in found]
    for row in rows:
        _check_files(pairs, row, needed)
    return rows


def _needed(pairs: Pairs) -> dict[str, str]:
    """Modality of the index by the block that names it."""
    both = [modality for _, modality in pairs.modalities.items()]
    needed = {}
    if any(modality.is_optical for modality in both):
        needed["optical"] = pairs.optical.column
    if any(modality.is_thermal for modality in both):
        needed["thermal"] = pairs.thermal.column
    return needed


def _fitting(pairs: Pairs, table: Index) -> list[Row]:
    if pairs.where is None:
        return list(table.rows)
    try:
        is_fitting = row_filter(pairs.where, table.columns)
    except DataError as e:
        raise DataError(str(e).replace("--where", "data.where")) from e
    return [row for row in table.rows if is_fitting(row)]


def _check_splits(pairs: Pairs, rows: list[Row]) -> None:
    splits = Counter(row.split for row in rows)
    for split in ("train", "validation"):
        if not splits[split]:
            fitting = f" that fits {pairs.where!r}" if pairs.where else ""
            raise DataError(
                f"data.index: {pairs.index}: no usable sample{fitting} is in the split {split}; "
                f"divide it with: hpctrain index split {pairs.index} --by COLUMN --validation 20%"
                + ", or change data.where"
                * bool(pairs.where)
            )


def _check_files(pairs: Pairs, row: Row, needed: dict[str, str]) -> None:
    allowed = {"optical": PICTURES, "thermal": (*CAMERA, *PICTURES, ".npy")}
    for key, name in needed.items():
        paths = row.paths(name)
        suffix = PurePosixPath(paths[0]).suffix.lower() if len(paths) == 1 else ""
        if suffix not in allowed[key]:
            raise DataError(
                f"data.{key}: {row.id!r} has {row[name]!r} as {name}; allowed: one file that ends "
                f"in {', '.join(allowed[key])}"
            )
        has_degrees = suffix in CAMERA or pairs.thermal.offset is not None
        if key == "thermal" and not has_degrees and pairs.thermal.bins is None:
            raise DataError(
                f"data.thermal: {row[name]!r} holds no degrees, so nothing says how its values are "
                "scaled; give thermal.offset and thermal.scale, such as 127.5 and 64 for grey "
                "values"
            )
