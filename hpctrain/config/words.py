"""Texts that end up in scripts: what each kind may hold."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"found {value!r}; allowed: 1 to 64 letters, digits, '_', '-' and '.', "
            "the first a letter, a digit or '_'"
        )
    return value


def _word(value: str) -> str:
    # Directive lines know no common quoting (Cobalt: none at all), so nothing in them may need it.
    if not _WORD.fullmatch(value):
        raise ValueError(
            f"found {value!r}, which a scheduler directive cannot hold; "
            "allowed: letters, digits, '_', '-', '.', '@' and '+'"
        )
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(
            f"found {value!r}; allowed as a variable's name: letters, digits and '_', "
            "the first no digit"
        )
    return value


def _line(value: str) -> str:
    # The script quotes everything else, but no quoting survives every tool across a line break.
    if not value or any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise ValueError(f"found {value!r}; allowed: one line of text without control characters")
    return value


def _value(value: str) -> str:
    return _line(value) if value else value


Name = Annotated[str, AfterValidator(_name)]
"""A folder's and a job's name."""
Word = Annotated[str, AfterValidator(_word)]
"""A value in a scheduler directive: account, queue, file system."""
Variable = Annotated[str, AfterValidator(_variable)]
"""Name of an environment variable."""
Line = Annotated[str, AfterValidator(_line)]
"""One line of any printable text; the script quotes it."""
Value = Annotated[str, AfterValidator(_value)]
"""Value of an environment variable: one line, or empty."""
