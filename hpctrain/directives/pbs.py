"""#PBS lines as the qsub of PBS Pro and OpenPBS reads them.

Directives end at the first line that is neither blank nor a comment. `#PBS` may be indented, a
backslash continues the line, quotes work, and a word that is no option makes qsub refuse the
script (OpenPBS src/lib/Libcmds/check_job_script.c, src/cmds/qsub.c).
"""

from __future__ import annotations

import re

from hpctrain.directives.model import Directive, Fault, Reading
from hpctrain.directives.shell import heredoc_lines
from hpctrain.directives.words import UnbalancedQuoteError, split_outside_quotes, split_words

PREFIX = "#PBS"
WITH_VALUE = "aAcCeJjklmMNopPqrRSuvWL"
FLAGS = "fGhIVXz"


def read_pbs(text: str) -> Reading:
    """All directives of a script, and where their reading ends."""
    lines = text.replace("\r\n", "\n").split("\n")
    directives: list[Directive] = []
    faults: list[Fault] = []
    number = 0
    while number < len(lines) and not is_command(lines[number]):
        first, body = number, lines[number]
        number += 1
        if not body.lstrip().startswith(PREFIX):
            continue
        while body.endswith("\\") and number < len(lines):
            body = body[:-1] + lines[number]
            number += 1
        read = _Line(first + 1, lines[first])
        read.parse(body.lstrip()[len(PREFIX) :])
        directives += read.directives
        faults += read.faults
    directives += _late(lines, number, text)
    return Reading("pbs", tuple(directives), tuple(faults), number + 1)


def is_command(line: str) -> bool:
    """Whether a line ends the directives: it is neither blank nor a comment."""
    # a leading colon is PBS' own way to write a comment
    bare = line.lstrip()
    return bool(bare) and not bare.startswith("#") and not line.startswith(":")


def _late(lines: list[str], number: int, text: str) -> list[Directive]:
    inside = heredoc_lines(text)
    why = f"it stands behind the first command, in line {number + 1}"
    return [
        Directive(n, line, is_read=False, why_ignored=why)
        for n, line in enumerate(lines[number:], number + 1)
        if line.lstrip().startswith(PREFIX) and n not in inside
    ]


class _Line:
    """The options of one line, as getopt takes them."""

    def __init__(self, line: int, raw: str) -> None:
        self.line = line
        self.raw = raw
        self.directives: list[Directive] = []
        self.faults: list[Fault] = []

    def parse(self, text: str) -> None:
        try:
            words = split_words(text, is_slurm=False)
        except UnbalancedQuoteError as e:
            self._fault("quote", str(e))
            return
        while words:
            word = words.pop(0)
            if word.startswith("--") or not word.startswith("-") or word == "-":
                self._fault("unknown" if word.startswith("--") else "stray", word)
                return
            self._options(word[1:], words)

    def _options(self, letters: str, words: list[str]) -> None:
        for i, letter in enumerate(letters):
            if letter in FLAGS:
                self._add(f"-{letter}", None)
                continue
            if letter not in WITH_VALUE:
                self._fault("unknown", f"-{letter}")
                words.clear()
                return
            value = letters[i + 1 :] or (words.pop(0) if words else None)
            if value is None:
                self._fault("no value", f"-{letter}")
            else:
                self._value(letter, value)
            return

    def _value(self, letter: str, value: str) -> None:
        if letter == "l":
            parts = split_outside_quotes(value, ",")
        elif letter == "W":
            parts = re.split(r",(?=\w+=)", value)
        else:
            self._add(f"-{letter}", value)
            return
        for part in parts:
            name, equals, given = part.partition("=")
            self._add(f"-{letter} {name.strip()}", given.strip() if equals else None)

    def _add(self, option: str, value: str | None) -> None:
        self.directives.append(Directive(self.line, self.raw, option, value))

    def _fault(self, kind: str, word: str) -> None:
        self.faults.append(Fault(self.line, kind, word))  # type: ignore[arg-type]
