"""What differs between two indexes: samples by id, and files by their content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hpctrain.index.table import Index, Row

KINDS = ("added", "removed", "moved", "content", "status", "split", "other")
"""moved: same content at another path; other: node, time, position or a column of one's own."""


class Change(NamedTuple):
    """One difference of one sample."""

    kind: str
    id: str
    text: str


def diff_indexes(old: Index, new: Index) -> list[Change]:
    """Differences in the order of the new index; what was removed comes last.

    A sample that has another id, but the same content in all modalities, has moved.
    """
    before = {row.id: row for row in old.rows}
    after = {row.id: row for row in new.rows}
    gone = {_content(row): row for row in old.rows if row.id not in after and any(_content(row))}
    renamed: set[str] = set()
    changes: list[Change] = []
    for row in new.rows:
        if row.id in before:
            changes += _changes(before[row.id], row, new.columns.modalities)
            continue
        origin = gone.get(_content(row))
        if origin is not None and origin.id not in renamed:
            renamed.add(origin.id)
            changes.append(Change("moved", row.id, f"was {origin.id}"))
            changes += _changes(origin, row, new.columns.modalities, has_moved=True)
        else:
            changes.append(Change("added", row.id, row.reason or row.split or row.status))
    lost = (row for row in old.rows if row.id not in after and row.id not in renamed)
    changes += [Change("removed", row.id, row.split or row.status) for row in lost]
    return changes


def _content(row: Row) -> tuple[str, ...]:
    return tuple(row[f"{name}_sha256"] for name in row.columns.modalities)


def _changes(
    old: Row, new: Row, modalities: tuple[str, ...], has_moved: bool = False
) -> Iterator[Change]:
    for name in modalities:
        if name not in old.columns.places:
            yield Change("other", new.id, f"has {name} now")
            continue
        if old[f"{name}_sha256"] != new[f"{name}_sha256"]:
            yield Change("content", new.id, f"{name}: {_sizes(old, new, name)}")
        elif old[name] != new[name] and not has_moved:
            yield Change("moved", new.id, f"{name}: {old[name]} is now {new[name]}")
    if (old.status, old.reason) != (new.status, new.reason):
        yield Change("status", new.id, f"{_status(old)} is now {_status(new)}")
    if old.split != new.split:
        yield Change("split", new.id, f"{old.split or 'none'} is now {new.split or 'none'}")
    for name in ("timestamp", "node", "position", *new.columns.free):
        before = old[name] if name in old.columns.places else ""
        if before != new[name]:
            yield Change(
                "other", new.id, f"{name}: {before or 'none'} is now {new[name] or 'none'}"
            )


def _sizes(old: Row, new: Row, name: str) -> str:
    if not new[name]:
        return f"{old[name]} is gone"
    if not old[name]:
        return f"{new[name]} is new"
    return f"{new[name]}: {old[f'{name}_size']} bytes before, {new[f'{name}_size']} now"


def _status(row: Row) -> str:
    return f"{row.status} ({row.reason})" if row.reason else row.status
