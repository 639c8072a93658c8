"""Plain sentences for what pydantic found: what was found, what is allowed, the nearest match."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic_core import ErrorDetails

from hpctrain.config.document import Key
from hpctrain.config.words import nearest

_TAG = re.compile(r"(function-\w+|literal|constrained-\w+|nullable)\[")
"""Names that pydantic gives to the members of a union."""

_WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
}

_BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "{} or more"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "{} or less"),
    "too_short": ("min_length", "a list of {} or more"),
    "too_long": ("max_length", "a list of {}"),
}


def sentence(error: ErrorDetails, key: Key, root: type[BaseModel], written: str | None) -> str:
    """One sentence for one error, without its place.

    Args:
        error: what pydantic found.
        key: where, as the user wrote it.
        root: schema of the whole document.
        written: the value's text in the file, if it is a single value.
    """
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return _missing(key, root)
    if kind == "extra_forbidden":
        return _unknown("key", str(key[-1]), sorted(_fields(root, error["loc"][:-1])))
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        # a key that the user chose, such as a run's name under `after:`, says not what it holds
        is_own = key[-1] not in _fields(root, key[:-1])
        return _unknown("" if is_own else str(key[-1]), found, choices)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = _tag_name(error)
        choices = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
        value = found.get(tag) if isinstance(found, dict) else found
        return _unknown(tag, value, choices) if value is not None else f"has no {tag!r}; add it"
    if kind in _BOUNDS:
        name, form = _BOUNDS[kind]
        if isinstance(found, list | tuple):
            shown = f"a list of {len(found)}" if found else "an empty list"
        else:
            shown = _shown(found)
        return f"found {shown}; allowed: {form.format(context[name])}"
    if kind in _WANTED:
        return _wrong_type(found, written, _WANTED[kind])
    if kind == "value_error":
        return _walltime_hint(str(context["error"]), written)
    return _plain(error["msg"])


def _missing(key: Key, root: type[BaseModel]) -> str:
    if isinstance(key[-1], int):
        return "is missing; the list is too short"
    info = _fields(root, key[:-1]).get(key[-1])
    about = f": {_plain(info.description)}" if info is not None and info.description else ""
    return f"is missing; add it{about}"


def _unknown(what: str, found: Any, choices: Iterable[str]) -> str:
    choices = list(choices)
    named = f"unknown {what} {found!r}" if what else f"found {found!r}"
    return f"{named}; choose from {', '.join(choices)}{nearest(str(found), choices)}"


def _wrong_type(found: Any, written: str | None, wanted: str) -> str:
    hint = ""
    if wanted == "a text" and not isinstance(found, dict | list) and found is not None:
        hint = f'; put it in quotes: "{found if written is None else written}"'
    elif (
        isinstance(found, str)
        and wanted != "keys with values"
        and re.fullmatch(r"[-+.\deE]+", found)
    ):
        hint = "; remove the quotes"
    elif wanted == "a list" and not isinstance(found, dict):
        hint = f"; write [{found}]"
    return f"found {_shown(found, written)}; allowed: {wanted}{hint}"


def _shown(found: Any, written: str | None = None) -> str:
    if found is None:
        return "nothing"
    if isinstance(found, bool):
        return f"the truth value {written or str(found).lower()}"
    if isinstance(found, int | float):
        return f"the number {written or found}"
    if isinstance(found, list):
        return f"the list {found!r}" if len(str(found)) < 60 else "a list"
    if isinstance(found, dict):
        return f"keys ({', '.join(list(found)[:4])})"
    return f"the text {found!r}"


def _walltime_hint(text: str, written: str | None) -> str:
    # `walltime: 1:30:00` arrives as 5400: show the user's own value, quoted, not an example.
    if "quote it: walltime" in text and written and re.fullmatch(r"\d+:\d\d:\d\d", written):
        text = text.replace('"02:00:00"', f'"{written.zfill(8)}"')
    return text


def _plain(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def tag_key(error: ErrorDetails) -> Key:
    """The key that tells the members of a union apart, where its value is wrong."""
    if error["type"] != "union_tag_invalid" or not isinstance(error["input"], dict):
        return ()
    name = _tag_name(error)
    return (name,) if name in error["input"] else ()


def _tag_name(error: ErrorDetails) -> str:
    """Name of that key; a function that finds the member is called like it."""
    return str(error["ctx"]["discriminator"]).strip("'()")


def _fields(root: type[BaseModel], loc: Iterable[str | int]) -> dict[str, Any]:
    """Fields of the block at a place; of a union those of the member whose tag stands in it."""
    models = [("", root)]
    for part in loc:
        tagged = [(tag, model) for tag, model in models if tag == part]
        if tagged:
            models = tagged
            continue
        known = [m.model_fields[part].annotation for _, m in models if part in m.model_fields]
        models = [found for annotation in known for found in _models(annotation)]
    return {name: info for _, model in models for name, info in model.model_fields.items()}


def _models(annotation: Any, tag: str = "") -> list[tuple[str, type[BaseModel]]]:
    """Schemas in an annotation, each with its tag in a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        own = fields.get("task") or fields.get("kind")
        texts = [t for t in get_args(own.annotation if own else None) if isinstance(t, str)]
        return [(tag or "".join(texts), annotation)]
    if get_origin(annotation) is Annotated:
        tags = [m.tag for m in annotation.__metadata__ if isinstance(m, Tag)]
        return _models(get_args(annotation)[0], tags[0] if tags else tag)
    if get_origin(annotation) in (Union, types.UnionType):
        return [found for part in get_args(annotation) for found in _models(part, tag)]
    return []


def user_key(loc: tuple[str | int, ...], value: Any) -> Key:
    """Pydantic's location without the tags of unions, which the user never wrote."""
    key: list[str | int] = []
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        if isinstance(value, dict) and part not in value and not last:
            continue
        if part == "[key]":
            break
        if isinstance(part, str) and isinstance(value, str) and _TAG.match(part):
            continue
        key.append(part)
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
    return tuple(key)
