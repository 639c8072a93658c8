"""All files of an index: those of each modality, each handed on as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hpctrain.index.files.scan import files_below
from hpctrain.index.pairing.pairs import Listing, Sample, list_modality

if TYPE_CHECKING:
    from hpctrain.config.index_rule import Modality, Rule


class Found(NamedTuple):
    """Which files there are."""

    listing: Listing
    members: dict[str, list[str]]
    """Files of each folder that is a modality of a sample."""
    names: Sequence[str]
    """All files, modality by modality, each once."""


def find_files(
    root: Path,
    rule: Rule,
    own: frozenset[str],
    read: Callable[[Sequence[str]], None],
    listed: Sequence[Sample] | None = None,
) -> Found:
    """List the files of all modalities.

    Args:
        root: folder of the data.
        rule: how files become samples.
        own: paths below the root that are no data, such as the index itself.
        read: called with the files of each pattern as soon as they are known, so that they are read
            while the next are listed; with each file once.
        listed: samples that lists name; None: the patterns of the rule find the files.

    Raises:
        DataError: a modality without files, or names that an index cannot hold.
    """
    listing: Listing = {}
    members: dict[str, list[str]] = {}
    names: dict[str, None] = {}
    for number, (name, modality) in enumerate(rule.modalities.items()):
        if listed is None:
            listing[name] = list_modality(root, name, modality, own)
        else:
            listing[name] = _of_lists(listed, number)
        for pattern, paths in zip(modality.files, listing[name], strict=False):
            files = paths
            if pattern.endswith("/"):
                members |= _members(root, name, modality, paths)
                files = [file for path in paths for file in members[path]]
            fresh = [file for file in dict.fromkeys(files) if file not in names]
            names.update(dict.fromkeys(fresh))
            read(fresh)
    return Found(listing, members, list(names))


def _of_lists(samples: Sequence[Sample], number: int) -> list[list[str]]:
    """Files that the lists name for one modality, as those of one pattern."""
    items = (sample.items[number] for sample in samples)
    return [[path for item in items if item is not None for path in item.paths]]


def _members(
    root: Path, name: str, modality: Modality, folders: Sequence[str]
) -> dict[str, list[str]]:
    where = f"modalities.{name}.members"
    return {path: files_below(root, path, modality.members, where) for path in folders}
