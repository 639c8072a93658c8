"""Build the index of a folder of samples: scan, pair, read what is new, judge, split."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from hpctrain.errors import DataError
from hpctrain.index.files.facts import Fact, FactCache
from hpctrain.index.files.known import learn
from hpctrain.index.files.scan import files_below
from hpctrain.index.pairing.judge import judge, judge_names
from hpctrain.index.pairing.listed import LIST, TEXT, pair_listed
from hpctrain.index.pairing.pairs import Sample, pair
from hpctrain.index.pairing.rows import item_fact, make_rows
from hpctrain.index.quarantine import recover
from hpctrain.index.table import Columns, Index, tool_facts

if TYPE_CHECKING:
    from hpctrain.config.index_rule import Rule

P = ParamSpec("P")
T = TypeVar("T")


def _without_collections(build: Callable[P, T]) -> Callable[P, T]:
    """Keep Python from searching millions of live objects for cycles, which takes half the time."""

    @functools.wraps(build)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return build(*args, **kwargs)
        finally:
            if was_enabled:
                gc.enable()

    return run


@_without_collections
def build_index(
    root: Path,
    rule: Rule,
    *,
    own: frozenset[str] = frozenset(),
    inspect: str = "",
    progress: Callable[[str], None] | None = None,
) -> Index:
    """Index the samples below a root; what an earlier build has read is not read again.

    Args:
        root: folder of the data, absolute.
        rule: how files become samples.
        own: paths below the root that are no data, such as the index itself.
        inspect: `module:function` that decodes a file, for `inspect: full`.
        progress: called with a line before much is read.

    Returns:
        Rows without splits; the same files give the same rows.

    Raises:
        DataError: no such folder, a modality without files, or names that an index cannot hold.
    """
    if not root.is_dir():
        found = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"{root}: {found}; give the folder of the data")
    recover(root)
    cache = FactCache(root)
    samples = pair_listed(root, rule) if rule.pair == "listed" else pair(root, rule, own)
    members = _members(root, rule, samples)
    pool = learn(root, _names(samples, members), cache, rule.inspect, inspect, progress)
    try:
        judge_names(samples, rule)  # while others read
    except BaseException:
        pool.stop()
        raise
    finally:
        try:
            pool.wait()
        finally:
            cache.close()
    facts: list[list[Fact | None]] = [
        [None if item is None else item_fact(item, cache, members) for item in sample.items]
        for sample in samples
    ]
    judge(samples, rule, facts)
    columns = Columns(tuple(rule.modalities), _free(samples, set(rule.modalities)))
    page: dict[str, Any] = {"rule": rule.model_dump(mode="json", exclude_defaults=True)}
    return Index(root, make_rows(columns, samples, facts), {**page, **tool_facts()}, columns)


def _members(root: Path, rule: Rule, samples: Sequence[Sample]) -> dict[str, list[str]]:
    """Files of each folder that is a modality of a sample."""
    members: dict[str, list[str]] = {}
    for number, (name, modality) in enumerate(rule.modalities.items()):
        if not any(pattern.endswith("/") for pattern in modality.files):
            continue
        for sample in samples:
            item = sample.items[number]
            for path in item.paths if item is not None else ():
                if path.endswith("/"):
                    where = f"modalities.{name}.members"
                    members[path] = files_below(root, path, modality.members, where)
    return members


def _names(samples: Sequence[Sample], members: dict[str, list[str]]) -> list[str]:
    """All files, modality by modality, each once."""
    names: list[str] = []
    for number in range(len(samples[0].items) if samples else 0):
        items = [item for sample in samples if (item := sample.items[number]) is not None]
        names += [path for item in items for path in item.paths]
    if members or "" in names:
        parts = (members[n] if n.endswith("/") else [n] for n in names if n)
        names = [name for part in parts for name in part]
    return list(dict.fromkeys(names))


def _free(samples: Sequence[Sample], taken: set[str]) -> tuple[str, ...]:
    """Columns from named groups and lists, in the order in which they are met."""
    names: dict[str, None] = {}
    for sample in samples:
        if sample.columns:
            names.update(dict.fromkeys(sample.columns))
    special = [name for name in (LIST, TEXT) if name in names]
    known = ("timestamp", "node", "position")
    return tuple(n for n in names if n not in (*special, *known, *taken)) + tuple(special)
