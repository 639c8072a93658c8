"""Build the index of a folder of samples: scan, pair, read what is new, judge, split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.files.facts import Fact, FactCache
from hpctrain.index.files.known import unknown_files
from hpctrain.index.files.pool import Pool
from hpctrain.index.files.scan import files_below
from hpctrain.index.last_build import inputs_digest
from hpctrain.index.no_collections import without_collections
from hpctrain.index.pairing.judge import Settled, judge, judge_names
from hpctrain.index.pairing.listed import LIST, TEXT, pair_listed
from hpctrain.index.pairing.pairs import Listing, Sample, list_files, pair
from hpctrain.index.pairing.rows import item_fact, make_rows
from hpctrain.index.quarantine import recover
from hpctrain.index.table import Columns, Index, tool_facts

if TYPE_CHECKING:
    from hpctrain.config.index_rule import Rule

_MANY = 10_000
"""Reading more files than this is said beforehand."""


class Built(NamedTuple):
    """An index, and what it depends on."""

    made: Index | None
    """Rows without splits; None: the inputs were known, so nothing was made of them."""
    inputs: str
    """Digest of rule, names and facts; empty where it was not asked for."""


@without_collections
def build_index(
    root: Path,
    rule: Rule,
    *,
    own: frozenset[str] = frozenset(),
    inspect: str = "",
    is_known: Callable[[str], bool] = lambda inputs: False,
    settled: Callable[[], Settled] = frozenset,
    progress: Callable[[str], None] = lambda line: None,
) -> Built:
    """Index the samples below a root; what an earlier build has read is not read again.

    Args:
        root: folder of the data, absolute.
        rule: how files become samples.
        own: paths below the root that are no data, such as the index itself.
        inspect: `module:function` that decodes a file, for `inspect: full`.
        is_known: whether nobody needs the index of these inputs, see `Built.inputs`.
        settled: files that an earlier index put into a split; of equal contents these stay.
        progress: called with a line before much is read.

    Returns:
        The same files, and the same settled ones, give the same rows.

    Raises:
        DataError: no such folder, a modality without files, or names that an index cannot hold.
    """
    if not root.is_dir():
        found = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"{root}: {found}; give the folder of the data")
    recover(root)
    cache = FactCache(root)
    is_listed = rule.pair == "listed"
    listing = {} if is_listed else list_files(root, rule, own)
    samples = pair_listed(root, rule) if is_listed else []
    paths = _listed_paths(rule, samples) if is_listed else listing
    members = _members(root, rule, paths)
    names = _names(paths, members)
    unknown = unknown_files(root, names, cache, rule.inspect)
    page = {"rule": rule.model_dump(mode="json", exclude_defaults=True)}
    # a folder counts also where it has no files; files go to modalities by the rule alone
    settings = {**page, "folders": sorted(members)}
    if not unknown and not is_listed:
        inputs = inputs_digest(settings, names, [cache.lines[name] for name in names])
        if is_known(inputs):
            return Built(None, inputs)
    if len(unknown) > _MANY:
        progress(f"reading {len(unknown)} files once")
    pool = Pool(root, unknown, rule.inspect, cache.add, inspect if rule.inspect == "full" else "")
    try:
        samples = samples or pair(rule, listing)  # while others read
        judge_names(samples, rule)
    except BaseException:
        pool.stop()
        raise
    finally:
        try:
            pool.wait()
        finally:
            cache.close()
    inputs = "" if is_listed else inputs_digest(settings, names, [cache.lines[n] for n in names])
    facts: list[list[Fact | None]] = [
        [None if item is None else item_fact(item, cache, members) for item in sample.items]
        for sample in samples
    ]
    judge(samples, rule, facts, settled)
    columns = Columns(tuple(rule.modalities), _free(samples, set(rule.modalities)))
    rows = make_rows(columns, samples, facts)
    return Built(Index(root, rows, {**page, **tool_facts()}, columns), inputs)


def _listed_paths(rule: Rule, samples: Sequence[Sample]) -> Listing:
    """Files that the lists name, in the shape of a listing."""
    paths: Listing = {}
    for number, name in enumerate(rule.modalities):
        items = (sample.items[number] for sample in samples)
        paths[name] = [[path for item in items if item is not None for path in item.paths]]
    return paths


def _members(root: Path, rule: Rule, listing: Listing) -> dict[str, list[str]]:
    """Files of each folder that is a modality of a sample."""
    members: dict[str, list[str]] = {}
    for name, modality in rule.modalities.items():
        where = f"modalities.{name}.members"
        for pattern, paths in zip(modality.files, listing[name], strict=True):
            if pattern.endswith("/"):
                for path in paths:
                    members[path] = files_below(root, path, modality.members, where)
    return members


def _names(listing: Listing, members: dict[str, list[str]]) -> list[str]:
    """All files, modality by modality, each once."""
    names = [path for parts in listing.values() for paths in parts for path in paths]
    if members:
        parts = (members.get(name, [name]) for name in names)
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
