"""Leaks: content in one split that is in another, too, so that a validation proves nothing.

There are two rules. `check_leaks` is for samples of any kind, and compares them file by file: what
may be shared, such as a mask, a rule says under `duplicates`. `check_copies` is for the patterns of
a `data:` block, where nothing can say so: a constant field may be the same at all steps, so only a
sample of which all files are a copy counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from hpctrain.errors import DataError
from hpctrain.index.table import SEPARATOR, Index, Row
from hpctrain.index.windows.place import overlapping, window_of

_SHOWN = 5


def check_leaks(index: Index) -> None:
    """Refuse a file, or equal content of two files, in two splits.

    All modalities are compared, or those that the rule's `duplicates` names: others may be shared
    by design, such as a mask. Several files of a modality are compared one by one. Windows of a
    volume may be in several splits, where none of them overlap. Regions of one file do not overlap
    either, so that without windows it may be in several splits.

    Raises:
        DataError: names the samples.
    """
    rule, recipe = index.facts.get("rule"), index.facts.get("split")
    chosen = rule.get("duplicates", "first") if isinstance(rule, dict) else "first"
    names = index.columns.modalities if chosen == "first" else tuple(chosen)
    by = recipe.get("by", ()) if isinstance(recipe, dict) else ()
    has_regions = any(str(one).startswith("region:") for one in by)
    rows = [row for row in index.rows if row.status == "ok" and row.split]
    if rows and window_of(rows[0]) is not None:
        _check_windows(rows, names)
        return
    for name in names:
        found = list(_leaks(rows, name, has_regions))
        if found:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            others = ", ".join(n for n in index.columns.modalities if n != name)
            raise DataError(
                f"equal content in two splits: {name} of {'; '.join(found[:_SHOWN])}{more}; split "
                f"by something that they share; or write `duplicates` into the rule and build the "
                f"index again: with {name} in its list later copies become bad, and without it "
                f"(duplicates: [{others}]) any samples may share {name}, such as a mask"
            )


def check_copies(rows: Sequence[Row], name: str) -> None:
    """Refuse a sample to validate on of which a copy is trained on, under another name.

    Args:
        rows: of an index.
        name: the modality that is compared, as a whole.

    Raises:
        DataError: names both.
    """
    trained = {row[f"{name}_sha256"]: row[name] for row in rows if row.split == "train"}
    for row in rows:
        if row.split == "validation" and row[f"{name}_sha256"] in trained:
            raise DataError(
                f"{row[name]}: is to validate on, but has the same content as "
                f"{trained[row[f'{name}_sha256']]}, which is trained on; leave one of them out"
            )


def _check_windows(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Refuse windows of one volume, or of equal volumes, that overlap and are in two splits."""
    checked: set[tuple[str, ...]] = set()
    for name in names:
        volumes: dict[str, list[Row]] = {}
        for row in rows:
            if row[name]:
                volumes.setdefault(row[f"{name}_sha256"] or f"/{row[name]}", []).append(row)
        for own in volumes.values():
            ids = tuple(row.id for row in own)
            if ids in checked:
                continue
            checked.add(ids)
            pair = next(overlapping(own), None)
            if pair is not None:
                a, b = pair
                raise DataError(
                    f"windows overlap in two splits: {a.id} ({a.split}) and {b.id} ({b.split}) "
                    f"share cells of {name}; split by region:y=CELLS,x=CELLS, where a window that "
                    "crosses a border belongs to no split, or make windows that do not overlap "
                    "(--step)"
                )


def _leaks(rows: Sequence[Row], name: str, has_regions: bool) -> Iterator[str]:
    """Pairs of samples of two splits with a file of a modality, or its content, in common."""
    first: dict[str, tuple[Row, str]] = {}
    for row in rows:
        split, cell, digests = row.split, row[name], row[f"{name}_sha256"]
        is_one = SEPARATOR not in cell
        paths = (cell,) if is_one else cell.split(SEPARATOR)
        contents = (digests,) if is_one else digests.split(SEPARATOR)
        for path, content in zip_longest(paths, contents, fillvalue=""):
            # a path has a '/' before it, which is in no digest
            for key in filter(None, (content, path and f"/{path}")):
                other, place = first.setdefault(key, (row, path))
                if other.split != split and not (has_regions and place == path):
                    yield f"{row.id} ({split}) and {other.id} ({other.split})"
                    break
