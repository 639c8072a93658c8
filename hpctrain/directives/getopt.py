"""Long and short options in a row of words, as getopt_long and optparse take them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from hpctrain.directives.model import Directive, Fault, FaultKind

Word = tuple[int, str, str]
"""Number of the line, the line, a word of it."""


@dataclass(frozen=True)
class Table:
    """The options of one scheduler under their one name each."""

    long: Mapping[str, str]
    """Long name to "value", "optional" or "flag"."""
    short: Mapping[str, str]
    """Letter to its long name, or to itself where it has none."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Long name to its one name, where that is another."""

    def find(self, name: str) -> tuple[str | None, str]:
        """A long option by its name or an abbreviation that fits only one; and what was meant."""
        if name in self.long:
            return name, ""
        fitting = sorted(full for full in self.long if full.startswith(name))
        if len({self.names.get(full, full) for full in fitting}) == 1:
            return fitting[0], ""
        near = fitting or difflib.get_close_matches(name, self.long, 1, 0.75)
        return None, f"--{near[0]}" if near else ""


class Options:
    """Walks over the words of all directive lines."""

    def __init__(self, table: Table, words: list[Word], *, stops_at_stray: bool) -> None:
        self.table = table
        self.words = list(words)
        self.directives: list[Directive] = []
        self.faults: list[Fault] = []
        self.rest: list[Word] = []
        """What stands behind the word that ended the reading."""
        self._walk(stops_at_stray)

    def _walk(self, stops_at_stray: bool) -> None:
        while self.words:
            at = self.words.pop(0)
            word = at[2]
            if word.startswith("--") and len(word) > 2:
                self._long(at)
            elif word.startswith("-") and len(word) > 1 and word != "--":
                self._short(at)
            else:
                self._fault(at, "stray", word)
                if stops_at_stray:
                    self.rest, self.words = self.words, []

    def _long(self, at: Word) -> None:
        name, equals, given = at[2][2:].partition("=")
        found, hint = self.table.find(name)
        if found is None:
            self._fault(at, "unknown", f"--{name}", hint)
            return
        kind = self.table.long[found]
        value = given if equals else None
        if kind == "value" and not equals:
            value = self._next(at, f"--{found}")
            if value is None:
                return
        if kind == "flag" and equals:
            self._fault(at, "stray", at[2])
            return
        self._add(at, self.table.names.get(found, f"--{found}"), value)

    def _short(self, at: Word) -> None:
        letters = at[2][1:]
        for i, letter in enumerate(letters):
            full = self.table.short.get(letter)
            if full is None:
                self._fault(at, "unknown", f"-{letter}")
                return
            name = self.table.names.get(full, f"--{full}")
            kind = self.table.long[full]
            if kind == "flag":
                self._add(at, name, None)
                continue
            value: str | None = letters[i + 1 :] or None
            if value is None and kind == "value":
                value = self._next(at, f"-{letter}")
                if value is None:
                    return
            self._add(at, name, value)
            return

    def _next(self, at: Word, option: str) -> str | None:
        if not self.words:
            self._fault(at, "no value", option)
            return None
        return self.words.pop(0)[2]

    def _add(self, at: Word, option: str, value: str | None) -> None:
        self.directives.append(Directive(at[0], at[1], option, value))

    def _fault(self, at: Word, kind: FaultKind, word: str, hint: str = "") -> None:
        self.faults.append(Fault(at[0], kind, word, hint))
