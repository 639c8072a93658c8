"""Files to samples, by a rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.files.scan import nothing_fits, scan
from hpctrain.index.match import natural
from hpctrain.index.pairing.items import BAD, Item, Place
from hpctrain.index.pairing.keys import Key, keyed

if TYPE_CHECKING:
    from hpctrain.config.index_rule import Modality, Rule

Table = dict[Key, Item]
Listing = dict[str, list[list[str]]]
"""Of each modality the files of each pattern."""


class Sample:
    """Files that belong together, and what speaks against them."""

    __slots__ = ("columns", "id", "items", "node", "ns", "position", "reasons")

    def __init__(self, name: str, items: list[Item | None]) -> None:
        """Join what is known of each file; the first that has a node, time or position gives it."""
        self.id, self.items = name, items
        self.columns: dict[str, str] | None = None
        self.reasons: list[str] = []
        self.node = self.position = ""
        self.ns: int | None = None
        for item in items:
            if item is None:
                continue
            self.node = self.node or item.node
            self.position = self.position or item.position
            if self.ns is None:
                self.ns = item.ns
            if item.columns:
                self.columns = item.columns | (self.columns or {})


def found_files(root: Path, pattern: str, where: str, own: frozenset[str]) -> list[str]:
    """Files of a pattern, also those that were moved to bad_pairs/; none of the index's own."""
    found = scan(root, pattern, where)
    if (root / BAD).is_dir():
        found = [path for path in found if not path.startswith(BAD)]
        found += scan(root, BAD + pattern, where)
    return [path for path in found if path not in own] if own else found


def list_modality(
    root: Path, name: str, modality: Modality, own: frozenset[str] = frozenset()
) -> list[list[str]]:
    """Files of a modality, by pattern.

    Args:
        root: folder of the data.
        name: of the modality.
        modality: what the rule says of it.
        own: paths that are no data, such as the index itself.

    Raises:
        DataError: a pattern without files, or names that an index cannot hold.
    """
    where = f"modalities.{name}.files"
    parts = [found_files(root, pattern, where, own) for pattern in modality.files]
    for pattern, paths in zip(modality.files, parts, strict=True):
        if not paths and not modality.optional:
            raise nothing_fits(root, pattern, where)
    return parts


def pair(rule: Rule, listing: Listing) -> list[Sample]:
    """Samples, sorted, with what their names say against them.

    Args:
        rule: how files become samples.
        listing: files of each modality, see `list_modality`.

    Raises:
        DataError: an order that cannot be used, or a pattern of the rule that does not fit.
    """
    names = list(rule.modalities)
    tables: list[Table] = []
    spare: list[tuple[int, Key, Item]] = []
    for number, (name, modality) in enumerate(rule.modalities.items()):
        table, more = _modality(rule, modality, listing[name])
        tables.append(table)
        spare += [(number, key, item) for key, item in more]
    if rule.pair == "order":
        _check_order(names, tables)
    samples = _samples(tables)
    for number, key, item in spare:
        alone: list[Item | None] = [None] * len(tables)
        alone[number] = item
        extra = Sample(f"{_name(key)}~{item.paths[0]}", alone)
        extra.reasons.append(f"ambiguous: {_name(key)} has another {names[number]}")
        samples.append(extra)
    if rule.pair == "timestamp":
        samples.sort(key=lambda s: (s.node, s.ns or 0, s.id))
    else:  # natural order: step 2 before step 10
        samples.sort(key=lambda s: natural((s.id,)))
    return samples


def _samples(tables: list[Table]) -> list[Sample]:
    """One sample a key that any table has; a name that two keys share gets a path behind it."""
    keys = dict.fromkeys(tables[0])
    for table in tables[1:]:
        keys.update(dict.fromkeys(table))
    samples, seen = [], set()
    for key in keys:
        items = [table.get(key) for table in tables]
        name = _name(key)
        if name in seen or not name:
            first = next(item for item in items if item is not None)
            name = f"{name}~{first.paths[0]}" if name else first.paths[0].rstrip("/")
        seen.add(name)
        samples.append(Sample(name, items))
    return samples


def _name(key: Key) -> str:
    if len(key) == 2 and key[0] == "":
        return str(key[1]).strip("/")
    return "/".join(text for part in key if (text := str(part).strip("/")))


def _modality(
    rule: Rule, modality: Modality, listing: Sequence[list[str]]
) -> tuple[Table, list[tuple[Key, Item]]]:
    """Key to item, and items whose key was taken."""
    spare: list[tuple[Key, Item]] = []
    parts: list[Table] = []
    for pattern, paths in zip(modality.files, listing, strict=True):
        place = Place(rule, modality, pattern)
        items = [place.item(path) for path in paths]
        table: Table = {}
        for key, item in zip(keyed(rule, modality, pattern, items), items, strict=True):
            if table.setdefault(key, item) is not item:
                spare.append((key, item))
        parts.append(table)
    whole = parts[0]
    if len(parts) > 1:  # several files a sample: those of all patterns, in their order
        whole = {key: item for part in reversed(parts) for key, item in part.items()}
        for key, item in whole.items():
            item.paths = tuple(p[key].paths[0] if key in p else "" for p in parts)
    return whole, spare


def _check_order(names: list[str], tables: list[Table]) -> None:
    """Refuse to pair by order what has gaps: all that follows would be paired wrongly."""
    for name, table in zip(names[1:], tables[1:], strict=True):
        if table.keys() != tables[0].keys():
            raise DataError(
                f"pair: order needs as many files of each modality in each folder; {names[0]} has "
                f"{len(tables[0])} and {name} {len(table)}; pair by stem, number or regex, which "
                "find out what is missing"
            )
