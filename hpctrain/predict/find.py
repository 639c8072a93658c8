"""Files that a prediction reads: those named, or the run's own validation files."""

from __future__ import annotations

import csv
import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hpctrain.config.data import Fields
from hpctrain.data.inputs import directions_of
from hpctrain.data.styles import read_styles
from hpctrain.errors import ConfigError, DataError
from hpctrain.formats.field_files import open_group
from hpctrain.index import Index
from hpctrain.index.beside import place_of
from hpctrain.index.fields.grid import Triple

Groups = list[tuple[str, ...]]


@dataclass(frozen=True)
class Found:
    """Samples to predict."""

    root: Path
    groups: Groups
    is_coarsened: bool
    styled_by: tuple[str, ...]
    """Of each sample the file that a table of styles knows it by."""


def find_inputs(
    fields: Fields, index: Index, given: Sequence[str], factor: int, *, coarsen: bool
) -> Found:
    """Find the files of all samples.

    Args:
        fields: the `data:` block.
        index: of the run.
        given: files and patterns; empty: the run's validation files.
        factor: upscale factor.
        coarsen: `given` are fine fields.

    Raises:
        ConfigError: options that do not fit, or patterns that do not.
        DataError: the run has no validation files.
    """
    rows = index.split("validation")
    has_inputs = any(row.inputs for row in index.rows if row.status == "ok")
    if coarsen and (has_inputs or factor == 1 or not given):
        why = (
            "goes with --input"
            if not given
            else "the run was trained on given inputs and not on coarsened ones"
        )
        raise ConfigError(f"--coarsen: {why}; leave it out")
    if not given:
        if not rows:
            raise DataError("the run has no validation files; name files with --input")
        groups = [row.inputs or row.targets for row in rows]
        named = tuple(row.targets[0] for row in rows)
        return Found(index.root, groups, not has_inputs, named)
    usable = next((row for row in index.rows if row.status == "ok"), None)
    count = len((usable.inputs or usable.targets) if usable else fields.inputs or fields.targets)
    groups = _match(given, count)
    return Found(Path.cwd(), groups, coarsen, tuple(group[0] for group in groups))


def _match(given: Sequence[str], count: int) -> Groups:
    """Files of each sample; each of several patterns gives one file a sample."""
    lists = [_expanded(pattern) for pattern in given]
    if count == 1:
        return [(name,) for names in lists for name in names]
    if len(lists) != count:
        raise ConfigError(
            f"--input: found {len(lists)} patterns, and a sample has {count} files; give --input "
            f"{count} times, in the order of the training's patterns"
        )
    lengths = {len(names) for names in lists}
    if len(lengths) > 1:
        told = ", ".join(f"{len(n)} of {p}" for n, p in zip(lists, given, strict=True))
        raise ConfigError(f"--input: unequal numbers of files ({told}); each sample needs all")
    return list(zip(*lists, strict=True))


def _expanded(pattern: str) -> list[str]:
    names = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
    if not names:
        raise ConfigError(f"--input: {pattern}: no such file, and no file of this pattern")
    return [str(Path(name).resolve()) for name in names]


def style_names(fields: Fields, index: Index) -> tuple[str, ...]:
    """Names of the numbers that the generator is told of each file; empty: none."""
    if not fields.styles:
        return ()
    path = place_of(fields.styles, index.home)
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            names = next(csv.reader(stream), [])
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}; it is data.styles of the run") from e
    return tuple(name for name in names if name != "file")


def styles_of(
    fields: Fields, index: Index, found: Found, given: Sequence[float]
) -> list[tuple[float, ...]]:
    """The style of each sample: as given, or as the run's table says.

    Raises:
        ConfigError: no style, or one of another number of values.
    """
    names = style_names(fields, index)
    if given and len(given) != len(names):
        told = f"{len(names)}: {', '.join(names)}" if names else "none"
        raise ConfigError(f"--style: found {len(given)} numbers; the generator takes {told}")
    if not names or given:
        return [tuple(given)] * len(found.groups)
    root = index.root.resolve()
    files = [
        str(Path(name).relative_to(root)) if Path(name).is_relative_to(root) else name
        for name in found.styled_by
    ]
    try:
        _, table = read_styles(place_of(str(fields.styles), index.home), files)
    except DataError as e:
        raise ConfigError(f"{e}, or give --style {','.join(names).upper()}") from e
    return [tuple(float(v) for v in row) for row in table]


class TargetFacts(NamedTuple):
    """What a target file of the run says; nothing where there is none."""

    units: Mapping[str, str] = {}
    shape: Triple | None = None
    directions: tuple[int, int, int] = (0, 0, 0)
    """See `directions_of`."""


def target_facts(fields: Fields, index: Index, names: Sequence[str]) -> TargetFacts:
    """Units of the output's variables, cells, and directions of the axes of the training."""
    row = next((row for row in index.rows if row.status == "ok"), None)
    if row is None:
        return TargetFacts()
    try:
        group = open_group([index.root / name for name in row.targets], fields, is_input=False)
    except (DataError, OSError):
        return TargetFacts()
    pairs = zip(names, group.units, strict=False)
    units = {name: unit for name, unit in pairs if unit}
    return TargetFacts(units, group.shape, directions_of(group.coordinates))
