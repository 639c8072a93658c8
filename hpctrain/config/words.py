"""Texts that end up in scripts: what each kind may hold."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "PYTHONPATH", "PATH")
_CLEANING = ("--cleanenv", "--containall", "--compat", "--unset-env")
_CLEANING_SHORT, _SHORT_WITH_VALUE = "eC", "BHoSW"
CLEANING_VARIABLES = tuple(
    f"{engine}_{name}"
    for engine in ("APPTAINER", "SINGULARITY")
    for name in ("CLEANENV", "CONTAINALL", "COMPAT")
)
"""By which these engines are told to clear the environment, as by options."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """`. Did you mean 'x'?`, or nothing."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.55)
    return f". Did you mean {near[0]!r}?" if near else ""


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


def _words(value: str) -> str:
    try:
        words = shlex.split(_line(value))
    except ValueError as e:
        raise ValueError(
            f"found {value!r}, which a shell cannot split into words; allowed: quotes in pairs"
        ) from e
    if not words:
        raise ValueError(f"found {value!r}; allowed: one word or more")
    return value


def _not_ours(env: dict[str, str]) -> dict[str, str]:
    ours = sorted(k for k in env if k.startswith("HPCTRAIN_") or k in _OWN_VARIABLES)
    if ours:
        raise ValueError(f"sets {', '.join(ours)}, which the run script sets itself; remove it")
    cleaning = sorted(set(env) & set(CLEANING_VARIABLES))
    if cleaning:
        raise ValueError(
            f"sets {', '.join(cleaning)}, which would strip the rank variables and the GPU mask "
            "in an image; remove it"
        )
    return env


def _cleans(word: str) -> bool:
    # pflag, apptainer's parser, takes --cleanenv=true, and -ce=true for -c -e; --unset-env is
    # charliecloud's, which takes globs
    name = word.partition("=")[0]
    if name.startswith("--"):
        return name in _CLEANING
    letters = re.match(rf"-([^\W\d_{_SHORT_WITH_VALUE}]*)", name)
    return bool(letters and set(letters[1]) & set(_CLEANING_SHORT))


def _keeps_environment(word: str) -> str:
    if _cleans(word):
        raise ValueError(
            f"found {word!r}, which would strip the rank variables and the GPU mask; remove it"
        )
    return word


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
Words = Annotated[str, AfterValidator(_words)]
"""Several words in one line, split as a shell would."""
Environment = Annotated[dict[Variable, Value], AfterValidator(_not_ours)]
"""Environment variables, none of them the run script's own or such as clear all others."""
ContainerArg = Annotated[Line, AfterValidator(_keeps_environment)]
"""A word of a container engine that leaves the environment alone."""
