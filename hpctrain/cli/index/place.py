"""What the sub-commands of `hpctrain index` share: arguments, and how a place is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hpctrain.index import Index

IndexPath = Annotated[
    Path,
    typer.Argument(metavar="INDEX", help="The index: its CSV, its JSON, or a folder or run."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def load(place: Path) -> Index:
    """Read an index; also one that is named by a run in jobs/."""
    from hpctrain.index.store import index_paths, load_index

    for candidate in (place, Path("jobs") / place):
        if index_paths(candidate)[1].is_file():
            return load_index(candidate)
    return load_index(place)  # says that it is not there


def summary(index: Index) -> str:
    """One line: how many rows, usable and bad."""
    from collections import Counter

    status = Counter(row.status for row in index.rows)
    splits = Counter(row.split for row in index.rows if row.status == "ok" and row.split)
    parts = [f"{status['ok']} ok"]
    if splits:
        parts[0] += f" ({listed(splits)})"
    parts += [f"{num} {name}" for name, num in sorted(status.items()) if name != "ok"]
    return f"{len(index.rows)} samples: {', '.join(parts)}"


def listed(counts: Mapping[str, int]) -> str:
    """`train 80, validation 20`."""
    return ", ".join(f"{name} {num}" for name, num in sorted(counts.items()))


def reasons(index: Index) -> list[str]:
    """A line for each reason, the most frequent first, with an example."""
    from collections import Counter

    from hpctrain.index.reasons import codes_of

    found: Counter[str] = Counter()
    example: dict[str, str] = {}
    for row in index.rows:
        if row.status == "bad":
            for code in dict.fromkeys(codes_of(row.reason)):
                found[code] += 1
                example.setdefault(code, row.id)
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [f"  {num:>7} {code}, such as {example[code]}" for code, num in ordered]
