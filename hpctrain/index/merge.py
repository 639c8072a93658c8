"""Several indexes as one: roots brought together, conflicts refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.index.table import SEPARATOR, Columns, Index, Row, tool_facts

_SHOWN = 5


def merge_indexes(indexes: Sequence[Index], names: Sequence[str]) -> Index:
    """Join indexes of the same modalities.

    Paths become relative to the folder that all roots have in common; ids stay. The same sample in
    two indexes is one row, where all of its files and its split are the same.

    Args:
        indexes: two or more.
        names: of each, for messages.

    Raises:
        DataError: other modalities, no common root, one id for two samples, one file in two
            samples, or equal content in two splits.
    """
    first = indexes[0]
    for index, name in zip(indexes[1:], names[1:], strict=True):
        if index.columns.modalities != first.columns.modalities:
            raise DataError(
                f"{name}: has {', '.join(index.columns.modalities)}, but {names[0]} "
                f"{', '.join(first.columns.modalities)}; merge indexes of the same modalities"
            )
    root = Path(os.path.commonpath([index.root for index in indexes]))
    if root == Path(root.anchor) and any(index.root != root for index in indexes):
        roots = ", ".join(str(index.root) for index in indexes)
        raise DataError(f"the roots have no folder in common: {roots}; link them below one folder")
    free = dict.fromkeys(column for index in indexes for column in index.columns.free)
    columns = Columns(first.columns.modalities, tuple(free))
    rows: dict[str, Row] = {}
    origin: dict[str, str] = {}
    conflicts = []
    for index, name in zip(indexes, names, strict=True):
        for row in index.rows:
            moved = _moved(row, index, root, columns)
            other = rows.setdefault(moved.id, moved)
            source = origin.setdefault(moved.id, name)
            if other is not moved and other != moved:
                conflicts.append(f"{moved.id}: {_difference(other, moved)} in {source} and {name}")
    if conflicts:
        more = f"\nand {len(conflicts) - _SHOWN} more" if len(conflicts) > _SHOWN else ""
        raise DataError(
            "\n".join(f"conflict: {c}" for c in conflicts[:_SHOWN])
            + more
            + "\nnothing was written; mend one of them, or build one index of the common root"
        )
    merged = Index(root, tuple(rows.values()), _facts(indexes, names), columns)
    _check_files(merged)
    from hpctrain.index.split_groups import check_leaks

    check_leaks(merged)
    return merged


def _moved(row: Row, index: Index, root: Path, columns: Columns) -> Row:
    """The row with paths from another root, and with all columns."""
    prefix = index.root.relative_to(root).as_posix()
    cells = dict(zip(row.columns.names, row.cells, strict=True))
    if prefix != ".":
        for name in columns.modalities:
            cells[name] = SEPARATOR.join(f"{prefix}/{path}" for path in row.paths(name))
    return Row.make(columns, **cells)


def _difference(a: Row, b: Row) -> str:
    names = [n for n in a.columns.names if a[n] != b[n]]
    return f"another {', '.join(names[:3])}"


def _check_files(index: Index) -> None:
    """One file in two usable samples of different splits would be a leak."""
    seen: dict[str, Row] = {}
    for row in index.rows:
        if row.status != "ok":
            continue
        for name in index.columns.modalities:
            for path in row.paths(name):
                other = seen.setdefault(path, row)
                if other is not row and other.split != row.split:
                    raise DataError(
                        f"{path}: is in {other.id} ({other.split}) and {row.id} ({row.split}); "
                        "split both indexes by the same rule, or merge before splitting"
                    )


def _facts(indexes: Sequence[Index], names: Sequence[str]) -> dict[str, object]:
    parts = [
        {"name": Path(name).name, "root": str(index.root), "digest": index.digest}
        for index, name in zip(indexes, names, strict=True)
    ]
    return {"merged": parts, **tool_facts()}
