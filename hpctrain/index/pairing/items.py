"""One file of a sample, and what stands in its path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hpctrain.index.pairing.sources import extractor, parted
from hpctrain.index.pairing.times import parse_time

if TYPE_CHECKING:
    from hpctrain.config.index_rule import Modality, Rule

BAD = "bad_pairs/"
"""Folder below the root to which the files of bad samples are moved, keeping their paths."""


class Item:
    """What one modality gives to a sample."""

    __slots__ = ("columns", "folder", "name", "node", "ns", "paths", "position")

    paths: tuple[str, ...]
    """Where the files are now."""
    folder: str
    """Where the first was before it was moved to bad_pairs/, with a '/' at the end, or empty."""
    name: str
    node: str
    ns: int | None
    position: str
    columns: dict[str, str] | None


class Place:
    """How node, time, position and columns are found in the paths of one modality."""

    def __init__(self, rule: Rule, modality: Modality, pattern: str) -> None:
        time = modality.timestamp or rule.timestamp
        if time is None and rule.pair == "timestamp":
            time = "auto"
        self._node = extractor(modality.node or rule.node, pattern)
        self._time = extractor(time, pattern)
        self._position = extractor(modality.position or rule.position, pattern)
        self._search = re.compile(modality.pattern).search if modality.pattern else None

    def item(self, path: str) -> Item:
        """Read a path."""
        item = Item()
        item.paths = (path,)
        folder, name = parted(path[len(BAD) :] if path.startswith(BAD) else path)
        item.folder, item.name = folder, name
        item.node = self._node(folder, name) if self._node else ""
        item.ns = parse_time(self._time(folder, name)) if self._time else None
        position = self._position(folder, name) if self._position else ""
        item.position = "" if position == "NA" else position
        item.columns = None
        if self._search and (match := self._search(folder + name)):
            item.columns = {k: v or "" for k, v in match.groupdict().items()}
        return item
