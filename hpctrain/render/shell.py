"""Jinja for shell scripts: strict, and every value quoted for the shell."""

from __future__ import annotations

import os
import re
import shlex
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)

from hpctrain.config.paths import shared_dirs
from hpctrain.errors import RenderError
from hpctrain.render.undefined import Missing, advice
from hpctrain.shell_words import ShellText, ShellVariable

_WIDTH = 96


def shquote(value: Any) -> str:
    """One word for the shell, quoted where it needs to be.

    Raises:
        RenderError: the value has a line break or another control character.
    """
    text = str(value)
    if isinstance(value, ShellVariable):
        return f'"${text}"'
    if isinstance(value, ShellText):
        return f'"{"".join(map(_part, value.parts))}"'
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise RenderError(f"{text!r} holds a control character, which no script can carry safely")
    if "$" in text or "`" in text:
        # in single quotes shellcheck takes these for a mistake (SC2016); escaped they are none
        return f'"{_escaped(text)}"'
    return shlex.quote(text)


def _part(part: str) -> str:
    return f"${part}" if isinstance(part, ShellVariable) else _escaped(part)


def _escaped(text: str) -> str:
    """As it may stand between double quotes."""
    return re.sub(r'([\\"$`])', r"\\\1", text)


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


class _PathLoader(BaseLoader):
    """Templates named by an absolute path, where a job names a file of its own."""

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        if not os.path.isabs(template) or not os.path.isfile(template):
            raise TemplateNotFound(template)
        return Path(template).read_text(encoding="utf-8"), template, lambda: False


def environment() -> Environment:
    """Templates of the user first, then the checkout's, then the package's."""
    return _environment(tuple(shared_dirs("templates")))


@lru_cache(maxsize=4)  # a template is compiled once, not once for each point of a sweep
def _environment(folders: tuple[Path, ...]) -> Environment:
    found = Environment(
        loader=ChoiceLoader([_PathLoader(), *(FileSystemLoader(d) for d in folders)]),
        undefined=Missing,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - shell, not HTML; values go through shquote
    )
    found.filters.update(shquote=shquote, shwords=shwords)
    return found


def fill(template: str, context: dict[str, Any], macros_place: str = "") -> str:
    """Render one template.

    Args:
        template: its name below `templates/`, or an absolute path.
        context: what it may use.
        macros_place: where the job file says, or could say, `macros:`; for messages only.

    Raises:
        RenderError: the template is missing or wrong; names file and line.
    """
    try:
        return environment().get_template(template).render(context)
    except TemplateNotFound as e:
        raise RenderError(f"template {_place(e) or template}: no such template: {e}") from e
    except RecursionError as e:
        raise RenderError(
            f"template {template}: extends or includes itself; give it a name of its own"
        ) from e
    except (TemplateError, TypeError, ValueError, ArithmeticError, OSError) as e:
        text = f"{e}{advice(str(e), context, macros_place)}"
        raise RenderError(f"template {_place(e) or template}: {text}") from e


def _place(error: Exception) -> str:
    """`file:line: 'text of the line'` of the template at fault."""
    if isinstance(error, TemplateSyntaxError) and error.filename:
        return _shown(Path(error.filename), error.lineno)
    # Jinja puts template frames into the traceback; all others are Python's
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.endswith(".py") and os.path.isfile(f.filename)]
    return _shown(Path(own[-1].filename), own[-1].lineno or 0) if own else ""


def _shown(path: Path, number: int) -> str:
    name = path.name if path.parent.name == "schedulers" else str(path)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return f"{name}:{number}: {text!r}"
