"""The page for people, and its twin for programs, to attach to a ticket."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpctrain import __version__
from hpctrain.doctor.secret import Masker
from hpctrain.doctor.topic import Line, Topic
from hpctrain.errors import HpctrainError

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA = "hpctrain-doctor/1"
"""Form of the JSON; the number grows when a key changes its meaning or goes away."""
_KINDS = ("error", "warning", "note", "ok")
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan", "ok": "green"}
_NAME = 16
_NARROW = 60


def summary(topics: Sequence[Topic]) -> dict[str, int]:
    """How many lines of each kind."""
    counts = Counter[str](line.severity for topic in topics for line in topic.lines)
    return {kind: counts[kind] for kind in _KINDS}


def in_words(topics: Sequence[Topic]) -> str:
    """The same for people, with the topics to look at: the page is longer than a screen."""
    words = []
    for kind, count in summary(topics).items():
        if count and kind != "ok":
            where = [t.name for t in topics if any(line.severity == kind for line in t.lines)]
            named = "" if kind == "note" else f" ({', '.join(where)})"
            words.append(f"{count} {kind}{'s' * (count > 1)}{named}")
    return ", ".join(words) or "all is well"


def ticket(topics: Sequence[Topic], time: str, masker: Masker) -> dict[str, Any]:
    """The JSON twin, with nothing secret in it."""
    page = {
        "schema": SCHEMA,
        "hpctrain": __version__,
        "time": time,
        "summary": summary(topics),
        "lines": [{"topic": t.name, **asdict(line)} for t in topics for line in t.lines],
        "facts": {topic.name: topic.facts for topic in topics},
    }
    masked: dict[str, Any] = masker.page(page)
    return masked


def write_ticket(page: dict[str, Any], path: Path) -> None:
    """Write the twin, whole or not at all.

    Raises:
        HpctrainError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        part.write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise HpctrainError(
            f"--json: {path} cannot be written ({e.strerror}); name a file in a folder of yours"
        ) from e


def print_page(topics: Sequence[Topic], console: Console, masker: Masker) -> None:
    """The page: topics, their lines, and what to do about those that are not well."""
    from rich.text import Text

    for topic in topics:
        if not topic.lines:
            continue
        console.print(Text(topic.name, style="bold"))
        for line in topic.lines:
            _print_line(line, console, masker)


def _print_line(line: Line, console: Console, masker: Masker) -> None:
    from textwrap import wrap

    from rich.text import Text

    indent = 2 + 9 + _NAME
    width = max(_NARROW, console.width) - indent

    def lay(text: str) -> list[str]:
        # paths are not cut: they are to be copied
        return wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]

    name = line.name if len(line.name) < _NAME else f"{line.name[: _NAME - 2]}…"
    head = Text.assemble("  ", (f"{line.severity:<9}", _COLOURS[line.severity]), f"{name:<{_NAME}}")
    first, *others = lay(masker.text(line.text))
    said = [head + Text(first), *(Text(" " * indent + text) for text in others)]
    if line.remedy:
        said += [Text(" " * indent + text) for text in lay(f"do: {masker.text(line.remedy)}")]
    for text in said:
        console.print(text, soft_wrap=True)
