"""What of a rule or a split would do nothing, as the rows have nothing that it speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.groups import group_maker
from hpctrain.index.table import Index

if TYPE_CHECKING:
    from hpctrain.config.index_rule import Rule

_SHOWN = 10


def rule_warnings(index: Index, rule: Rule) -> Iterator[str]:
    """A sentence for each node that is excluded, or has a place, and that no row has."""
    if not rule.exclude and not rule.places:
        return
    nodes = sorted({row["node"] for row in index.rows if row["node"]})
    named = [("exclude", "excludes", "excluding", one.node) for one in rule.exclude]
    named += [("places", "places", "placing", one.node) for one in rule.places]
    for key, does, doing, node in dict.fromkeys(named):
        if node in nodes:
            continue
        if nodes:
            more = f" and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else ""
            yield (
                f"{key}: no sample is of node {node!r}, so it {does} nothing; the nodes are "
                f"{', '.join(nodes[:_SHOWN])}{more}"
            )
            continue
        place = f"by `node: {rule.node}` none of them has" if rule.node else "the rule names no"
        yield (
            f"{key}: no sample has a node ({place} one), so {doing} {node!r} does nothing; put "
            "the files into a folder a node and let the rule say `node: folder`, or take the nodes "
            "from lists pairs/NODE/*.txt with: hpctrain index import ROOT"
        )


def check_groups(index: Index, option: str, by: Sequence[str]) -> Iterator[str]:
    """A sentence for each column by which some rows have no value.

    Args:
        index: rows.
        option: which asks for it, for messages.
        by: see `group_maker`.

    Raises:
        DataError: no row has a value.
    """
    for name in by:
        group_of = group_maker([name], index.columns)
        groups = [group_of(row) for row in index.rows if row.status == "ok"]
        num = groups.count("")
        if num and num == len(groups):
            how = (
                " (it comes from a folder a node and `node: folder` in the rule, or from lists "
                "with hpctrain index import)"
            )
            raise DataError(
                f"{option} {name}: no usable sample has a {name}{how if name == 'node' else ''}; "
                "choose what they have"
            )
        if num:
            yield (
                f"{option} {name}: {num} of {len(groups)} usable samples have no {name}, and count "
                "as one group"
            )
