"""Several indexes as one: roots brought together, conflicts refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpctrain.errors import DataError
from hpctrain.index.leaks import check_leaks
from hpctrain.index.table import SEPARATOR, Columns, Index, Row, tool_facts
from hpctrain.index.windows.place import Window, window_of

_SHOWN = 5


def merge_indexes(indexes: Sequence[Index], names: Sequence[str]) -> Index:
    """Join indexes of the same modalities.

    Paths become relative to the folder that all roots have in common; ids stay. The same sample in
    two indexes is one row, where all of its files and its split are the same. What all rules and
    recipes of splits agree on is kept; later samples of equal content become bad.

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
    facts = _facts(indexes, names)
    merged = Index(root, _without_copies(list(rows.values()), columns, facts), facts, columns)
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


def _without_copies(
    rows: Sequence[Row], columns: Columns, facts: dict[str, Any]
) -> tuple[Row, ...]:
    """Rows, of which later ones of equal content are bad; in two splits they stay."""
    chosen = facts.get("rule", {}).get("duplicates", "first")
    found = list(rows)
    for name in columns.modalities[:1] if chosen == "first" else chosen:
        first: dict[tuple[str, Window | None], Row] = {}
        places = [n for n, r in enumerate(found) if r.status == "ok" and r[f"{name}_sha256"]]
        for place in sorted(places, key=lambda n: not found[n].split):  # with a split first
            row = found[place]
            # windows of one volume have its files in common
            other = first.setdefault((row[f"{name}_sha256"], window_of(row)), row)
            if other is not row and row.split in ("", other.split):
                reason = f"duplicate: {name}: same content as {other.id}"
                found[place] = row.replace(status="bad", split="", reason=reason)
    return tuple(found)


def _facts(indexes: Sequence[Index], names: Sequence[str]) -> dict[str, Any]:
    parts = [
        {"name": Path(name).name, "root": str(index.root), "digest": index.digest}
        for index, name in zip(indexes, names, strict=True)
    ]
    first, recipe = indexes[0].facts.get("rule"), indexes[0].facts.get("split")
    rules = [index.facts.get("rule") for index in indexes]
    rule = first if all(r == first for r in rules) else _common(rules)
    if not all(index.facts.get("split") == recipe for index in indexes):
        recipe = None
    kept = {name: value for name, value in (("rule", rule), ("split", recipe)) if value}
    return {**kept, "merged": parts, **tool_facts()}


def _common(rules: Sequence[Any]) -> dict[str, Any]:
    """What other commands need of rules that differ; no files, so that none can be built by it."""
    given = [rule if isinstance(rule, dict) else {} for rule in rules]
    found: dict[str, Any] = {}
    if all(rule.get("duplicates") == given[0].get("duplicates") for rule in given):
        found = {k: v for k, v in given[0].items() if k == "duplicates"}
    parts = [rule.get("modalities", {}) for rule in given]
    for name in parts[0]:
        members = {part.get(name, {}).get("members", "*") for part in parts}
        if len(members) == 1:
            found.setdefault("modalities", {})[name] = {"members": members.pop()}
    return found
