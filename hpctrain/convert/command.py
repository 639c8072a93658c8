"""What `hpctrain convert` reaches: options as words, and a conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpctrain.convert.engine import Result, convert
from hpctrain.convert.options import Options, parse_crop, parse_range
from hpctrain.convert.own_reader import load_reader
from hpctrain.convert.units import Progress


def run(
    sources: tuple[Path, ...], to: str, out: Path, given: dict[str, Any], progress: Progress
) -> Result:
    """Convert data.

    Args:
        sources: files and folders.
        to: the store.
        out: new folder.
        given: options by their names on the command line.
        progress: is told how far it is.

    Raises:
        ConfigError: an option makes no sense, or see `convert`.
    """
    fields: dict[str, Any] = {
        name: given[name]
        for name in ("dtype", "codec", "chunk", "shard", "decode", "keep_off_law", "licence")
        if name in given
    }
    if "variable" in given:
        fields["variables"] = tuple(given["variable"])
    if "steps" in given:
        fields["steps"] = parse_range(given["steps"], "--steps", 3)
    if "crop" in given:
        fields["crop"] = parse_crop(given["crop"])
    if "reader" in given:
        fields["reader"] = load_reader(given["reader"], Path.cwd())
    if "workers" in given:
        fields["workers"] = given["workers"]
    if "memory" in given:
        fields["memory_mb"] = given["memory"]
    return convert(Options(sources, to, out, verify="no_verify" not in given, **fields), progress)
