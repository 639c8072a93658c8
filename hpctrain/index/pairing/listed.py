"""Samples that text files name: one file a sample, one line a modality.

The layout of pairs/<node>/<anything>.txt below a folder with rgb/ and thermal/; bad_pairs/ holds
the lists of samples that somebody put aside. Text and place of each list are kept in columns, so
that an export gives the same bytes again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from posixpath import dirname, splitext
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.files.scan import nothing_fits, scan
from hpctrain.index.match import natural
from hpctrain.index.pairing.items import BAD, Item, Place
from hpctrain.index.pairing.pairs import Sample
from hpctrain.index.pairing.sources import fixed_part

if TYPE_CHECKING:
    from hpctrain.config.index_rule import Rule

LIST, TEXT = "pair_file", "pair_text"
"""Columns: where the list is, and its text as JSON where it is not the plain two lines."""


def pair_listed(root: Path, rule: Rule) -> list[Sample]:
    """Samples of the lists below a root.

    Raises:
        DataError: no list, or one that is no text.
    """
    good = scan(root, rule.lists, "lists")
    bad = scan(root, bad_lists(rule.lists), "lists")
    if not good and not bad:
        raise nothing_fits(root, rule.lists, "lists")
    bases = [fixed_part(m.files[0]) for m in rule.modalities.values()]
    places = [Place(rule, m, m.files[0]) for m in rule.modalities.values()]
    samples = [_sample(root, rule, path, bases, places) for path in (*good, *bad)]
    samples.sort(key=lambda s: natural((s.id,)))
    return samples


def bad_lists(pattern: str) -> str:
    """Where the lists of bad samples are."""
    return BAD + pattern.removeprefix("pairs/")


def canonical(names: list[str]) -> str:
    """The plain text of a list."""
    return "".join(f"{name}\n" for name in names)


def _sample(root: Path, rule: Rule, path: str, bases: list[str], places: list[Place]) -> Sample:
    try:
        text = (root / path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"{root / path}: cannot be read as a list of names: {e}") from e
    names = [line.strip() for line in text.splitlines() if line.strip()]
    items: list[Item | None] = []
    problems = []
    for i, (base, place) in enumerate(zip(bases, places, strict=True)):
        name = names[i] if i < len(names) else ""
        if not name:
            problems.append(f"missing-twin: the list has {len(names)} of {len(bases)} lines")
        items.append(_item(root, base + name, place) if name else None)
    folder = dirname(path.removeprefix(BAD).removeprefix("pairs/"))
    is_bad = path.startswith(BAD)
    name = splitext(path if is_bad else path.removeprefix("pairs/"))[0]
    sample = Sample(name, items)
    sample.reasons = problems
    sample.node = sample.node or folder
    is_whole = None not in items and text == canonical(names[: len(bases)])
    plain = "" if is_whole else json.dumps(text)
    sample.columns = {**(sample.columns or {}), LIST: path, TEXT: plain}
    return sample


def _item(root: Path, path: str, place: Place) -> Item | None:
    if ".." in path.split("/") or path.startswith("/"):
        raise DataError(f"{path}: leaves the root; a list names files below it")
    for actual in (path, BAD + path):
        if os.path.lexists(root / actual):
            return place.item(actual)
    return None
