"""Build the index of a folder of samples: scan, pair, read what is new, judge, split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hpctrain.errors import DataError
from hpctrain.index.files.facts import FactCache
from hpctrain.index.files.known import unknown_files
from hpctrain.index.files.pool import Pool
from hpctrain.index.find import find_files
from hpctrain.index.last_build import inputs_digest
from hpctrain.index.no_collections import without_collections
from hpctrain.index.pairing.derived import derive
from hpctrain.index.pairing.judge import Settled, judge, judge_names
from hpctrain.index.pairing.listed import LIST, TEXT, pair_listed
from hpctrain.index.pairing.pairs import Sample, pair
from hpctrain.index.pairing.rows import make_rows, modality_facts, tail_cells
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
        what = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"{root}: {what}; give the folder of the data")
    recover(root)
    cache = FactCache(root)
    page = {"rule": rule.model_dump(mode="json", exclude_defaults=True)}
    is_listed = rule.pair == "listed"
    inspect = inspect if rule.inspect == "full" else ""
    with closing(cache), Pool(root, rule.inspect, cache.add, inspect) as pool:

        def read(names: Sequence[str]) -> None:
            pool.add(unknown_files(root, names, cache, rule.inspect))

        samples = pair_listed(root, rule) if is_listed else []
        found = find_files(root, rule, own, read, samples if is_listed else None)
        # a folder counts also where it has no files; files go to modalities by the rule alone
        settings = {**page, "folders": sorted(found.members)}
        if not pool.num_names and not is_listed:
            inputs = inputs_digest(settings, found.names, cache.lines)
            if is_known(inputs):
                return Built(None, inputs)
        if pool.num_names > _MANY:
            progress(f"reading {pool.num_names} files once")
        samples = samples or pair(rule, found.listing)  # while others read
        judge_names(samples, rule)
        derive(samples, rule)
        columns = Columns(tuple(rule.modalities), _free(samples, set(rule.modalities)))
        tails = tail_cells(columns, samples)
    inputs = "" if is_listed else inputs_digest(settings, found.names, cache.lines)
    facts = [modality_facts(samples, k, cache, found.members) for k in range(len(rule.modalities))]
    judge(samples, rule, facts, settled)
    rows = make_rows(columns, samples, facts, tails)
    return Built(Index(root, rows, {**page, **tool_facts()}, columns), inputs)


def _free(samples: Sequence[Sample], taken: set[str]) -> tuple[str, ...]:
    """Columns from named groups and lists, in the order in which they are met."""
    names: dict[str, None] = {}
    for sample in samples:
        if sample.columns:
            names.update(dict.fromkeys(sample.columns))
    special = [name for name in (LIST, TEXT) if name in names]
    known = ("timestamp", "node", "position")
    return tuple(n for n in names if n not in (*special, *known, *taken)) + tuple(special)
