"""As much of a shell script as its checks need: commands without comments, where each stands.

No shell grammar: quotes, comments, continued lines and here-documents are seen, nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEREDOC = re.compile(r"<<(-?)\s*(?:(['\"])(?P<quoted>[^'\"]+)\2|\\?(?P<bare>\w+))")
_HEREDOC_START = re.compile(r"(?<!<)<<(?!<)")
_ARRAY = re.compile(r"(?<![\w$])\w+\+?=\(")
_ENDS = re.compile(r"&&|\|\||;;|[;|&\n]")


@dataclass(frozen=True)
class Code:
    """One line of a script as the shell takes it: continued lines joined, comments gone."""

    line: int
    """Number of its first line, from 1."""
    text: str
    is_heredoc: bool = False
    """It is text for another program."""
    is_expanded: bool = True
    """The shell puts values for variables in it."""


@dataclass(frozen=True)
class Command:
    """One simple command."""

    line: int
    text: str
    end: str
    """What stands behind it: `&`, `|`, `&&`, ..."""


def read_code(text: str) -> list[Code]:
    """All lines that hold code or here-documents."""
    lines = text.split("\n")
    found: list[Code] = []
    number = 0
    while number < len(lines):
        first = number
        body, number = _whole_line(lines, number)
        if body.strip():
            found.append(Code(first + 1, body))
        for place in _HEREDOC_START.finditer(_mask(body)):
            match = _HEREDOC.match(body, place.start())
            if match is None:
                continue
            word = match["quoted"] or match["bare"]
            number = _heredoc(lines, number, word, match, found)
    return found


def _whole_line(lines: list[str], number: int) -> tuple[str, int]:
    """The line that begins here, with the lines of a list of words that it opens, `name=(`."""
    body, number = _logical_line(lines, number)
    parts = [body]
    is_open = _has_open_array(body)
    while is_open and number < len(lines):
        more, number = _logical_line(lines, number)
        parts.append(more)
        is_open = ")" not in without_quoted(more) or _has_open_array(more)
    return "\n".join(parts), number


def _has_open_array(body: str) -> bool:
    masked = without_quoted(body)
    return any(")" not in masked[match.end() :] for match in _ARRAY.finditer(masked))


def _heredoc(
    lines: list[str], number: int, word: str, match: re.Match[str], found: list[Code]
) -> int:
    while number < len(lines):
        line = lines[number].lstrip("\t") if match[1] else lines[number]
        number += 1
        if line == word:
            break
        is_expanded = match["quoted"] is None
        found.append(Code(number, line, is_heredoc=True, is_expanded=is_expanded))
    return number


def _logical_line(lines: list[str], number: int) -> tuple[str, int]:
    """The line that begins here, with those that continue it; and the number behind it."""
    body, quote = "", ""
    while True:
        text, quote, is_continued = _scan(lines[number], quote)
        body += text
        number += 1
        if number >= len(lines) or not (quote or is_continued):
            return body, number
        body += "\n" if quote else " "


def _scan(line: str, quote: str) -> tuple[str, str, bool]:
    """A line without its comment; the quote open at its end; whether a backslash ends it."""
    i = 0
    while i < len(line):
        char = line[i]
        if char == "\\" and quote != "'":
            if i == len(line) - 1:
                return line[:i], quote, True
            i += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#" and (i == 0 or line[i - 1] in " \t;&|()"):
            return line[:i], "", False
        i += 1
    return line, quote, False


def _mask(text: str, *, is_double: bool = True) -> str:
    """The text with what is quoted blanked out, so that a separator there counts for nothing."""
    out, quote, i = [], "", 0
    while i < len(text):
        char = text[i]
        if char == "\\" and quote != "'":
            out.append("__"[: len(text[i : i + 2])])
            i += 2
            continue
        if quote:
            is_end = char == quote
            out.append(char if is_end or (quote == '"' and not is_double) else "_")
            quote = "" if is_end else quote
        else:
            quote = char if char in "\"'" else ""
            out.append(char)
        i += 1
    return "".join(out)


def without_quoted(text: str) -> str:
    """The text with everything in quotes blanked out; its length stays."""
    return _mask(text)


def without_single_quoted(text: str) -> str:
    """The text with what stands in single quotes blanked out, which the shell does not expand."""
    return _mask(text, is_double=False)


def read_commands(code: list[Code]) -> list[Command]:
    """Simple commands, in their order; here-documents are none."""
    found = []
    for item in code:
        if item.is_heredoc:
            continue
        # 2>&1 and &>file are no ends of a command
        masked = re.sub(r">&|&>|<&", "__", without_quoted(item.text))
        masked = re.sub(rf"{_ARRAY.pattern}[^)]*\)", lambda m: "_" * len(m[0]), masked)
        start = 0
        for match in [*_ENDS.finditer(masked), None]:
            stop = len(masked) if match is None else match.start()
            text = item.text[start:stop].strip()
            if text:
                line = item.line + item.text[:start].count("\n")
                found.append(Command(line, text, "" if match is None else match[0]))
            start = stop if match is None else match.end()
    return found


def heredoc_lines(text: str) -> set[int]:
    """Numbers of the lines that are here-documents."""
    return {item.line for item in read_code(text) if item.is_heredoc}
