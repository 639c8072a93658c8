"""A rule of `hpctrain index build`: which files belong together, and which of them are bad."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveInt,
    model_validator,
)

from hpctrain.config.index_places import COLUMNS, Daylight, Instant, Place
from hpctrain.config.schema import Schema

_COLUMN = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = ("id", "split", "status", "reason", "timestamp", "node", "position")
_FOLDER = re.compile(r"folder(:-?\d+)?")


def _column(value: str) -> str:
    if not _COLUMN.fullmatch(value) or value in _TAKEN:
        raise ValueError(
            f"found {value!r}; allowed as a column's name: small letters, digits and '_', first a "
            f"letter, and none of {', '.join(_TAKEN)}"
        )
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as e:
        raise ValueError(f"found {value!r}, which is no regular expression: {e}") from e
    return value


def _source(value: str) -> str:
    kind, _, text = value.partition(":")
    if kind in ("name", "path") and text:
        _regex(text)
    elif not _FOLDER.fullmatch(value) and kind != "text":
        raise ValueError(
            f"found {value!r}; allowed: folder (below the pattern's fixed part), folder:N (part "
            "number N of the path, from 0), name:REGEX or path:REGEX (its first group), text:VALUE"
        )
    return value


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Column = Annotated[str, AfterValidator(_column)]
"""Name of a column of the index."""
Regex = Annotated[str, AfterValidator(_regex)]
"""Regular expression of Python."""
Source = Annotated[str, AfterValidator(_source)]
"""Where a value comes from: folder, folder:N, name:REGEX, path:REGEX or text:VALUE."""
Texts = Annotated[list[str], BeforeValidator(_list), Field(min_length=1)]
"""One text, or several."""
Tolerable = Literal["truncated", "unreadable", "shape", "dtype", "constant", "nan"]


class Modality(Schema):
    """One part of a sample, such as its optical picture."""

    files: Texts
    """Glob pattern relative to the root; several: files of one sample, joined in this order. A
    pattern that ends in '/' means folders, such as stacks of layers."""
    members: str = "*"
    """Files of such a folder that count: a pattern within it."""
    pattern: Regex | None = None
    """Regular expression, searched in the path; its named groups become columns."""
    node: Source | None = None
    """Where its node stands; null: as the rule says."""
    timestamp: Source | Literal["auto"] | None = None
    """Where its time stands; null: as the rule says."""
    position: Source | None = None
    """Where its position stands; null: as the rule says."""
    optional: bool = False
    """A sample may lack it."""
    shape: list[PositiveInt] | Literal["majority", "any"] = "majority"
    """Shape that each file must have; majority: that of most files."""
    dtype: str = "majority"
    """Type that each file must have, such as uint16; majority, or any."""
    allow: list[Tolerable] = []
    """Findings that do not make a sample bad, such as constant for masks."""


class Exclude(Schema):
    """Samples of a node that are not to be used, such as after its camera was moved."""

    node: str
    """Which node."""
    after: Instant | None = None
    """Only from this time on."""
    before: Instant | None = None
    """Only before this time."""


class Window(Schema):
    """Time from which samples are used."""

    start: Instant | None = None
    """First time."""
    stop: Instant | None = None
    """One past the last time."""


class Rule(Schema):
    """How files become samples."""

    modalities: dict[Column, Modality] = Field(min_length=1)
    """Parts of a sample, by name."""
    pair: Literal["timestamp", "stem", "number", "order", "match", "regex", "listed"] = "stem"
    """What is the same in files that belong together: time within a node, name without its end,
    last number in the name, place in sorted order, text that the wildcards matched, or named groups
    of `pattern`. listed: text files name them, a line a modality."""
    key: list[str] = []
    """regex: the groups that must be equal; empty: all that every modality has, but position."""
    lists: str = "pairs/**/*.txt"
    """listed: the text files; those of the same names below bad_pairs/ list bad samples."""
    node: Source | None = None
    """Where the node (station, camera, simulation) stands; null: none."""
    timestamp: Source | Literal["auto"] | None = None
    """Where the time stands; auto: the first of the usual forms in the name; null: none, but with
    pair: timestamp auto."""
    position: Source | None = None
    """Where the position (preset of the camera) stands; null: none."""
    positions: Literal["equal", "any"] = "equal"
    """Whether positions within a sample must be equal."""
    missing_position: Literal["keep", "bad"] = "keep"
    """What a sample is whose names have no position, where `position` says how to find it."""
    max_time_difference_s: NonNegativeFloat | None = None
    """Largest distance of the times within a sample; null: any."""
    window: Window = Window()
    """Samples outside of this time are bad."""
    exclude: list[Exclude] = []
    """Nodes that are not used, or not at some time."""
    places: list[Place] = []
    """Where nodes stand, for the columns `sun_elevation` (degrees, without refraction, within 0.01)
    and `daylight`: day, dusk or night; of several that fit a sample the last one counts."""
    daylight: Daylight = Daylight()
    """With `places`: when it is day and night."""
    views: dict[str, Texts] = {}
    """Names of positions, for the column `view`, such as {sky: ['1', '5'], ground: ['4']}."""
    duplicates: list[str] | Literal["first"] = "first"
    """Modalities in which equal content makes samples bad, but the one that has a split already, or
    the first; first: the first modality. Splits may share files of modalities that a list leaves
    out, such as a mask; with `first` none."""
    inspect: Literal["none", "quick", "full"] = "quick"
    """How files are looked at: not at all, by their bytes, or decoded."""

    @model_validator(mode="after")
    def _known_names(self) -> Rule:
        if isinstance(self.duplicates, list):
            unknown = sorted(set(self.duplicates) - set(self.modalities))
            if unknown:
                raise ValueError(
                    f"duplicates: no modality {', '.join(unknown)}; choose from "
                    f"{', '.join(self.modalities)}"
                )
        if self.pair == "regex":
            without = [name for name, m in self.modalities.items() if not m.pattern]
            if without:
                raise ValueError(f"pair: regex needs a pattern for {', '.join(without)}")
        elif self.key:
            raise ValueError("key: has an effect only with pair: regex; leave it out")
        return self

    @model_validator(mode="after")
    def _places_have_effect(self) -> Rule:
        if not self.places and self.daylight != Daylight():
            raise ValueError("daylight: has no effect without places; give both")
        both = [self.position, *(m.position for m in self.modalities.values())]
        if self.views and not any(both):
            raise ValueError("views: names positions, and nothing says where they stand; give both")
        patterns = (m.pattern or "" for m in self.modalities.values())
        groups = {group for pattern in patterns for group in re.compile(pattern).groupindex}
        own = COLUMNS if self.places else COLUMNS[-1:] if self.views else ()
        clash = sorted({*self.modalities, *groups} & set(own))
        if clash:
            raise ValueError(f"{clash[0]}: is a column that places or views fill; rename it")
        return self

    @model_validator(mode="after")
    def _columns_differ(self) -> Rule:
        facets = {f"{n}{f}" for n in self.modalities for f in ("_size", "_sha256", "_mtime")}
        clash = sorted(facets & set(self.modalities))
        if clash:
            raise ValueError(f"modalities: {clash[0]} is a column of another one; rename it")
        return self
