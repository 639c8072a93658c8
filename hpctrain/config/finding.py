"""What a check found: how bad it is, where, and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing to know before a job is queued.

    Attributes:
        severity: error: the job would be refused or fail; warning: it may; note: good to know.
        where: key of the job file, or the file or command that was looked at.
        text: what was found; what is allowed; what to do.
    """

    severity: Severity
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.text}"


def error(where: str, text: str) -> Finding:
    """The job would be refused, or would fail."""
    return Finding("error", where, text)


def warning(where: str, text: str) -> Finding:
    """The job may fail, or do something else than it says."""
    return Finding("warning", where, text)


def note(where: str, text: str) -> Finding:
    """Good to know; nothing has to be done."""
    return Finding("note", where, text)
