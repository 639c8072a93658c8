"""Classes of the user's own code, by `module.Class` from the folders under `code:`.

Only a training imports them, or a command that says so; a job file is checked without.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from hpctrain.errors import ConfigError


def find_class(name: str, option: str) -> type:
    """Import a class.

    Args:
        name: `module.Class`.
        option: key of the job file that names it, for messages.

    Raises:
        ConfigError: no such module, or no such class in it.
    """
    module_name, _, class_name = name.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"{option}: {name!r}: no module {e.name!r}; list its folder under code: in the job file"
        ) from e
    target = getattr(module, class_name, None)
    if not isinstance(target, type):
        classes = [n for n, value in vars(module).items() if isinstance(value, type)]
        raise ConfigError(
            f"{option}: {name!r}: module {module_name!r} ({module.__file__}) has no class "
            f"{class_name!r}{_nearest(class_name, classes)}"
        )
    return target


def make(target: type, option: str, *args: Any, options: Mapping[str, Any]) -> Any:
    """Make an object; options that the class does not take are errors, not swallowed.

    Args:
        target: the class.
        option: key of the job file that names it, for messages.
        args: what the caller gives.
        options: what the job file gives.

    Raises:
        ConfigError: an option that is unknown, given twice or missing.
    """
    taken = inspect.signature(target).parameters
    named = [
        n
        for n, p in list(taken.items())[len(args) :]
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    for key in options:
        # also where the class takes **kwargs, in which a misspelt one would vanish
        if key not in named:
            known = f"takes {', '.join(named)}" if named else "takes no options"
            raise ConfigError(
                f"{option}.options: {target.__name__} takes no {key!r}; it {known}"
                f"{_nearest(key, named)}"
            )
    try:
        return target(*args, **options)
    except TypeError as e:
        raise ConfigError(f"{option}: {target.__name__} cannot be made: {e}") from e


def takes(target: type, name: str) -> bool:
    """Whether a class names an argument."""
    return name in inspect.signature(target).parameters


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
