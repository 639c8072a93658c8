"""What must be equal in the paths of files that belong together."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.files.scan import groups_of
from hpctrain.index.match import natural
from hpctrain.index.pairing.items import Item
from hpctrain.index.pairing.sources import fixed_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpctrain.config.index_rule import Modality, Rule

Key = tuple[str | int, ...]
_NUMBER = re.compile(r"\d+")


def keyed(rule: Rule, modality: Modality, pattern: str, items: Sequence[Item]) -> list[Key]:
    """The key of each file.

    Args:
        rule: the rule.
        modality: what the files are.
        pattern: the pattern that found them.
        items: what stands in their paths.

    Raises:
        DataError: a pattern of the rule does not fit a path, or lacks a group.
    """
    if rule.pair == "timestamp":
        return [(i.node, i.folder + i.name if i.ns is None else i.ns) for i in items]
    if rule.pair == "match":
        return list(groups_of(pattern, (i.folder + i.name for i in items)))
    if rule.pair == "regex":
        return _by_groups(rule, modality, items)
    skip = len(fixed_part(pattern))
    has_node = (modality.node or rule.node) is not None
    contexts = [i.node if has_node else i.folder[skip:-1] for i in items]
    if rule.pair == "order":
        return _by_order(contexts, items)
    if rule.pair == "stem":
        return [(c, os.path.splitext(i.name)[0]) for c, i in zip(contexts, items, strict=True)]
    return [(c, _last_number(i)) for c, i in zip(contexts, items, strict=True)]


def _last_number(item: Item) -> str | int:
    numbers = _NUMBER.findall(os.path.splitext(item.name)[0]) or _NUMBER.findall(item.folder)
    return int(numbers[-1]) if numbers else item.folder + item.name


def _by_order(contexts: Sequence[str], items: Sequence[Item]) -> list[Key]:
    """Number within the folder, in natural order."""
    order = sorted(range(len(items)), key=lambda i: natural((contexts[i], items[i].name)))
    keys: list[Key] = [()] * len(items)
    counts: Counter[str] = Counter()
    for i in order:
        keys[i] = (contexts[i], counts[contexts[i]])
        counts[contexts[i]] += 1
    return keys


def _by_groups(rule: Rule, modality: Modality, items: Sequence[Item]) -> list[Key]:
    names = rule.key or _common_groups(rule)
    keys: list[Key] = []
    for item in items:
        if not item.columns:
            raise DataError(
                f"{item.folder}{item.name}: the pattern {modality.pattern!r} does not fit; mend "
                "it, or let `files` find fewer files"
            )
        missing = [name for name in names if name not in item.columns]
        if missing:
            raise DataError(
                f"key: {missing[0]} is no group of the pattern {modality.pattern!r}; it has "
                f"{', '.join(item.columns)}"
            )
        keys.append(tuple(item.columns[name] for name in names))
    return keys


def _common_groups(rule: Rule) -> list[str]:
    """Named groups that all modalities have, but the position."""
    groups = [list(re.compile(m.pattern or "").groupindex) for m in rule.modalities.values()]
    common = [g for g in groups[0] if all(g in other for other in groups) and g != "position"]
    if not common:
        raise DataError(
            "pair: regex: the patterns of the modalities have no named group in common; write "
            "(?P<step>...) for what must be equal"
        )
    return common
