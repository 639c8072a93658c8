"""The data card in the folder of the input files: where they are from, and on what terms."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpctrain.provenance.run import file_digest

CARDS = ("data_card.json", "DATA_CARD.md")
_LINE = re.compile(r"^[-*\s]*\**(source|generator|licen[cs]e)\**\s*:\**\s*(.+)$", re.I | re.M)
_SECTION = re.compile(r"^#+\s*(source|licen[cs]e)\s*\n+([^#\s].*)$", re.I | re.M)
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Card:
    """A data card.

    Attributes:
        path: the file.
        title: its first heading, or its name.
        source: where the data are from; empty if it does not say.
        licence: on what terms; empty if it does not say.
        digest: sha256 of the file.
    """

    path: Path
    title: str
    source: str
    licence: str
    digest: str


def read_card(root: Path) -> Card | None:
    """The data card of a folder, or None; JSON goes before Markdown."""
    for name in CARDS:
        path = root / name
        with suppress(OSError, ValueError, RecursionError):
            if path.stat().st_size > _MOST_BYTES:
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            facts = _json(text) if name.endswith(".json") else _markdown(text)
            title = facts.get("title") or facts.get("name") or name
            licence = facts.get("licence") or facts.get("license") or ""
            source = facts.get("source") or facts.get("generator") or ""
            return Card(path, title, source, licence, file_digest(path))
    return None


def _json(text: str) -> dict[str, str]:
    page = json.loads(text)
    if not isinstance(page, dict):
        raise ValueError("no JSON object")
    facts = {str(key).lower(): _words(value) for key, value in page.items() if value}
    if "sources" in facts:  # as `hpctrain convert` writes it
        facts.setdefault("source", facts["sources"])
    return facts


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(own)}" for key, own in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value[:5]))
    return str(value)


def _markdown(text: str) -> dict[str, str]:
    found = [*_LINE.finditer(text), *_SECTION.finditer(text)]
    facts = {match[1].lower(): match[2].strip() for match in reversed(found)}
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    return {**facts, "title": heading[1].strip() if heading else ""}
