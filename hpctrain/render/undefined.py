"""What a template asks for and does not exist: an error that says what there is instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.utils import missing
from pydantic import BaseModel


class Macros(dict[str, Any]):
    """`macros:` of the job file, told from other mappings in messages."""


class Missing(StrictUndefined):
    """Jinja's strict undefined, with the nearest name that exists."""

    @property
    def _undefined_message(self) -> str:
        name, owner = str(self._undefined_name), self._undefined_obj
        if self._undefined_hint:
            return str(self._undefined_hint)
        if owner is missing:
            return f"{name!r} is undefined"
        label = "macros" if isinstance(owner, Macros) else type(owner).__name__.lower()
        return f"{label} has no {name!r}{nearest(name, _names(owner))}"


def advice(message: str, context: Mapping[str, Any], macros_place: str) -> str:
    """What to do about a message of `Missing`; empty for others."""
    if message.startswith("macros has no "):
        return f"; define it under macros: in {macros_place or 'the job file'}"
    match = re.fullmatch(r"'(\w+)' is undefined", message)
    if match is None:
        return ""
    if match[1] in context.get("macros", {}):
        return f"; a macro of the job is written macros.{match[1]}"
    return f"{nearest(match[1], context)}; `hpctrain template vars` lists what there is"


def nearest(name: str, choices: Iterable[str]) -> str:
    """`. Did you mean 'x'?`, or nothing."""
    near = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.55)
    return f". Did you mean {near[0]!r}?" if near else ""


def _names(owner: Any) -> Iterable[str]:
    if isinstance(owner, Mapping):
        return [str(key) for key in owner]
    return type(owner).model_fields if isinstance(owner, BaseModel) else []
