"""Samples to rows of the index."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from hpctrain.index.files.facts import TAB, Fact, FactCache
from hpctrain.index.pairing.items import Item
from hpctrain.index.pairing.pairs import Sample
from hpctrain.index.pairing.times import time_text
from hpctrain.index.table import SEPARATOR, Columns, Row

_NOTHING = ("", "", "", "")


def modality_facts(
    samples: Sequence[Sample], number: int, cache: FactCache, members: Mapping[str, Sequence[str]]
) -> list[Fact | None]:
    """Facts of what one modality gives to each sample.

    Args:
        samples: the samples.
        number: place of the modality in the rule.
        cache: facts of all files.
        members: files of each folder that is a modality of a sample.
    """
    items = [sample.items[number] for sample in samples]
    return [None if item is None else _item_fact(item, cache, members) for item in items]


def _item_fact(item: Item, cache: FactCache, members: Mapping[str, Sequence[str]]) -> Fact:
    """Facts of what a modality gives to a sample: of one file, several, or folders of files."""
    if len(item.paths) == 1 and item.paths[0][-1] != "/":
        return cache.fact(item.paths[0])
    parts = [
        folder_fact(path, {n: cache.fact(n) for n in members[path]})
        if path.endswith("/")
        else cache.fact(path)
        for path in item.paths
        if path
    ]
    if len(parts) == 1:
        return parts[0]
    joined = [SEPARATOR.join(texts) for texts in zip(*(p[:3] for p in parts), strict=True)]
    looks = [part.look.split(TAB, 2) for part in parts]
    shape, dtype = (SEPARATOR.join(look[k] for look in looks) for k in (0, 1))
    fault = next((look[2] for look in looks if look[2]), "")
    whole = joined[2] if all(p.sha256 for p in parts) else ""
    return Fact(joined[0], joined[1], whole, look=f"{shape}\t{dtype}\t{fault}")


def folder_fact(folder: str, members: Mapping[str, Fact]) -> Fact:
    """A stack of files as one: total size, newest time, digest over sorted `sha256  name` lines.

    Args:
        folder: the folder, with a '/' at its end.
        members: its files by path, sorted.
    """
    facts = {name[len(folder) :]: fact for name, fact in members.items()}
    if not facts:
        return Fact("0", "0", "", look="\t\ttruncated: the folder has no such files")
    digest = hashlib.sha256()
    for name, fact in facts.items():
        digest.update(f"{fact.sha256}  {name}\n".encode())
    is_read = all(fact.sha256 for fact in facts.values())
    return Fact(
        str(sum(int(fact.size or 0) for fact in facts.values())),
        str(max(int(fact.mtime_ns or 0) for fact in facts.values())),
        digest.hexdigest() if is_read else "",
        look=_folder_look(facts),
    )


def _folder_look(facts: Mapping[str, Fact]) -> str:
    looks = {name: fact.look.split(TAB, 2) for name, fact in facts.items()}
    shapes = {look[0] for look in looks.values() if look[0]}
    dtypes = {look[1] for look in looks.values() if look[1]}
    shape = f"{len(facts)}x{shapes.pop()}" if len(shapes) == 1 else ""
    for name, (_, _, fault) in looks.items():
        if fault:
            code, _, text = fault.partition(": ")
            return f"{shape}\t\t{code}: {name}: {text}"
    for kind, found in (("shape", shapes), ("dtype", dtypes)):
        if len(found) > 1:
            return f"\t\t{kind}: its files have {' and '.join(sorted(found)[:3])}"
    return f"{shape}\t{''.join(dtypes)}\t"


def tail_cells(columns: Columns, samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """Cells behind the files': time, node, position and free columns; known by the names alone."""
    free = columns.free
    tails: list[tuple[str, ...]] = []
    for sample in samples:
        ns = sample.ns
        tail: tuple[str, ...] = ("" if ns is None else time_text(ns), sample.node, sample.position)
        if free:
            given = sample.columns or {}
            tail += tuple(given.get(name, "") for name in free)
        tails.append(tail)
    return tails


def make_rows(
    columns: Columns,
    samples: Sequence[Sample],
    facts: Sequence[Sequence[Fact | None]],
    tails: Sequence[tuple[str, ...]],
) -> list[Row]:
    """One row a sample; splits are empty.

    Args:
        columns: of the index.
        samples: judged.
        facts: of each modality, as `modality_facts` gives them.
        tails: of each sample, as `tail_cells` gives them.
    """
    rows = []
    for sample, tail, own in zip(samples, tails, zip(*facts, strict=True), strict=True):
        cells = [sample.id, "", "ok", ""]
        if sample.reasons:
            cells[2:] = "bad", "; ".join(sample.reasons)
        for item, fact in zip(sample.items, own, strict=True):
            if item is None or fact is None:
                cells += _NOTHING
            else:
                paths = item.paths
                path = paths[0] if len(paths) == 1 else SEPARATOR.join(p for p in paths if p)
                cells += (path, fact[0], fact[2], fact[1])
        cells += tail
        rows.append(Row(columns, cells))
    return rows
