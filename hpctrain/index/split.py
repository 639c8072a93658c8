"""Splits by group: what belongs together is trained on, or validated on, but never both.

A group's place depends on the seed and its own name, not on the other groups, so that new data do
not move old data from one split to another. Where exact numbers are asked for, groups that had a
place keep it, and only new ones are placed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.groups import group_maker
from hpctrain.index.leaks import check_leaks
from hpctrain.index.table import Index, Row

REST = "train"
"""Split of all groups that no other takes."""


class Part(NamedTuple):
    """How much a split takes."""

    name: str
    amount: float
    """Share of the groups, or their number."""
    is_share: bool


def parse_part(name: str, text: str) -> Part:
    """A share such as 20% or 0.2, or a number of groups such as 12.

    Raises:
        DataError: it is neither.
    """
    try:
        if text.endswith("%"):
            value, is_share = float(text[:-1]) / 100, True
        else:
            is_share = "." in text
            value = float(text) if is_share else float(int(text))
    except ValueError:
        value, is_share = -1.0, True
    if not 0 <= value <= (1 if is_share else 1e9):
        raise DataError(f"--{name}: found {text!r}; allowed: 20%, 0.2, or a number of groups")
    return Part(name, value, is_share)


def split_index(index: Index, recipe: Mapping[str, Any], kept: Mapping[str, str]) -> Index:
    """Fill the column `split` of all usable rows.

    Args:
        index: rows.
        recipe: by (list), parts (name to text), seed, stratify (a column, or null).
        kept: groups that have a place already, see `places_of`.

    Returns:
        The index with other splits, and the recipe among its facts.

    Raises:
        DataError: a column that is not there, an empty split, or a leak.
    """
    parts = [parse_part(name, text) for name, text in recipe["parts"].items()]
    if sum(part.amount for part in parts if part.is_share) >= 1:
        raise DataError(f"the splits take all groups, and leave none for {REST}; take smaller ones")
    group_of = group_maker(recipe["by"], index.columns)
    groups: dict[str, list[Row]] = defaultdict(list)
    of_row: list[str | None] = []
    for row in index.rows:
        group = group_of(row) if row.status == "ok" else None
        of_row.append(group)
        if group is not None:
            groups[group].append(row)
    strata = _strata(groups, recipe.get("stratify"), index)
    places = _places(strata, parts, str(recipe["seed"]), kept)
    rows = [
        row.replace(split="" if group is None else places[group])
        for row, group in zip(index.rows, of_row, strict=True)
    ]
    for part in parts:
        if part.amount and part.name not in places.values():
            raise DataError(
                f"no group falls into {part.name}: there are only {len(groups)} by "
                f"{', '.join(recipe['by'])}; give a number of groups, another --seed, or split by "
                "something finer"
            )
    if groups and REST not in places.values():
        raise DataError(f"no group is left for {REST}; give smaller splits")
    found = Index(index.root, rows, {**index.facts, "split": dict(recipe)}, index.columns)
    check_leaks(found)
    return found


def places_of(index: Index, by: Sequence[str]) -> dict[str, str]:
    """Group to split, as an index has them now."""
    group_of = group_maker(by, index.columns)
    return {
        group: row.split
        for row in index.rows
        if row.status == "ok" and row.split and (group := group_of(row)) is not None
    }


def settled_files(index: Index) -> frozenset[tuple[str, str]]:
    """Id and digest of each file cell of the usable rows that have a split."""
    return frozenset(
        (row.id, row[f"{name}_sha256"])
        for row in index.rows
        if row.status == "ok" and row.split
        for name in index.columns.modalities
    )


def kept_places(old: Index, new: Index, by: Sequence[str]) -> dict[str, str]:
    """Group to split: as an old index has them; else where content of the group was in it.

    Args:
        old: has splits.
        new: rows of the same data later; files may have been renamed.
        by: see `group_maker`.
    """
    places = places_of(old, by)
    name = new.columns.modalities[0]
    if name not in old.columns.modalities:
        return places
    column = f"{name}_sha256"
    of_content = {
        row[column]: row.split
        for row in old.rows
        if row.status == "ok" and row.split and row[column]
    }
    group_of = group_maker(by, new.columns)
    by_content: dict[str, Counter[str]] = defaultdict(Counter)
    for row in new.rows:
        split = of_content.get(row[column])
        group = group_of(row) if row.status == "ok" and split else None
        if split and group is not None and group not in places:
            by_content[group][split] += 1
    return places | {group: found.most_common(1)[0][0] for group, found in by_content.items()}


def _strata(
    groups: Mapping[str, Sequence[Row]], column: str | None, index: Index
) -> dict[str, list[str]]:
    """Groups by the value of a column; all in one where there is none."""
    if column is None:
        return {"": list(groups)}
    value_of = group_maker([column], index.columns)
    strata: dict[str, list[str]] = defaultdict(list)
    for group, rows in groups.items():
        values = {value_of(row) or "" for row in rows}
        if len(values) > 1:
            raise DataError(
                f"--stratify {column}: group {group!r} has {len(values)} values of it; split by "
                f"{column}, too (--by {column})"
            )
        strata[values.pop()].append(group)
    strata["\0"] = []  # more than one: exact numbers in each
    return strata


def _places(
    strata: Mapping[str, Sequence[str]], parts: Sequence[Part], seed: str, kept: Mapping[str, str]
) -> dict[str, str]:
    places: dict[str, str] = {}
    is_exact = len(strata) > 1 or any(not part.is_share for part in parts)
    for groups in strata.values():
        places |= {group: kept[group] for group in groups if group in kept}
        fresh = sorted((_draw(seed, group), group) for group in groups if group not in kept)
        if not is_exact:
            places |= {group: _by_share(draw, parts) for draw, group in fresh}
            continue
        taken = Counter(places[group] for group in groups if group in kept)
        for part in parts:
            wanted = part.amount * len(groups) if part.is_share else part.amount
            num = max(0, round(wanted) - taken[part.name])
            places |= {group: part.name for _, group in fresh[:num]}
            fresh = fresh[num:]
        places |= {group: REST for _, group in fresh}
    return places


def _by_share(draw: float, parts: Sequence[Part]) -> str:
    for part in parts:
        if draw < part.amount:
            return part.name
        draw -= part.amount
    return REST


def _draw(seed: str, group: str) -> float:
    """A number in [0, 1) that belongs to a group."""
    digest = hashlib.sha256(f"{seed}\0{group}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
