"""Jinja for shell scripts: strict, and every value quoted for the shell."""

from __future__ import annotations

import re
import shlex
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

from hpctrain.config.paths import shared_dirs
from hpctrain.errors import RenderError
from hpctrain.launchers import ShellVariable

_WIDTH = 96


def shquote(value: Any) -> str:
    """One word for the shell, quoted where it needs to be.

    Raises:
        RenderError: the value has a line break or another control character.
    """
    text = str(value)
    if isinstance(value, ShellVariable):
        return f'"${text}"'
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise RenderError(f"{text!r} holds a control character, which no script can carry safely")
    if "$" in text or "`" in text:
        # in single quotes shellcheck takes these for a mistake (SC2016); escaped they are none
        return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'
    return shlex.quote(text)


def shwords(value: str) -> str:
    """Several words, split at blanks as a shell would, each quoted again."""
    return " ".join(shquote(word) for word in shlex.split(value))


def pack(words: Iterable[str], width: int = _WIDTH) -> list[str]:
    """Quoted words as lines for an array; an option stays with its value."""
    groups: list[list[str]] = []
    for word in words:
        is_value = groups and groups[-1][-1].startswith("-") and not word.startswith("-")
        if is_value and len(groups[-1]) == 1:
            groups[-1].append(word)
        else:
            groups.append([word])
    lines: list[str] = []
    for group in groups:
        text = " ".join(shquote(word) for word in group)
        if lines and len(lines[-1]) + 1 + len(text) <= width:
            lines[-1] += " " + text
        else:
            lines.append(text)
    return lines


def environment() -> Environment:
    """Templates of the user first, then the checkout's, then the package's."""
    found = Environment(
        loader=ChoiceLoader([FileSystemLoader(d) for d in shared_dirs("templates")]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - shell, not HTML; values go through shquote
    )
    found.filters.update(shquote=shquote, shwords=shwords)
    return found


def fill(template: str, context: dict[str, Any]) -> str:
    """Render one template of `templates/`.

    Raises:
        RenderError: the template is missing or wrong; names file and line.
    """
    try:
        return environment().get_template(template).render(context)
    except TemplateError as e:
        raise RenderError(f"template {_place(e) or template}: {e}") from e


def _place(error: TemplateError) -> str:
    """`file:line` of the template at fault; Jinja puts template frames into the traceback."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".j2")]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
