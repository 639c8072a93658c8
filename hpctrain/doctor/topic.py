"""What the doctor says of one topic: lines for people, facts for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        severity: error: a job would fail; warning: it may, or be slow; note: good to know.
        name: what was looked at.
        text: what was found.
        remedy: what to do; nothing where all is well.
    """

    severity: Severity
    name: str
    text: str
    remedy: str = ""


@dataclass
class Topic:
    """Lines and facts of one topic."""

    name: str
    lines: list[Line] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def ok(self, name: str, text: str) -> None:
        """All is well."""
        self.lines.append(Line("ok", name, text))

    def note(self, name: str, text: str, remedy: str = "") -> None:
        """Good to know."""
        self.lines.append(Line("note", name, text, remedy))

    def warning(self, name: str, text: str, remedy: str) -> None:
        """A job may fail, or be slow."""
        self.lines.append(Line("warning", name, text, remedy))

    def error(self, name: str, text: str, remedy: str) -> None:
        """A job would fail."""
        self.lines.append(Line("error", name, text, remedy))


def amount(count: float) -> str:
    """Bytes in words: 64 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if count >= 10 else f"{_short(count)} {unit}"
        count /= 1024
    return f"{_short(count)} TiB"


def _short(count: float) -> str:
    return f"{count:.1f}".removesuffix(".0")
