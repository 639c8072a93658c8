"""Names for several keys of a block: a name wins over what is written below its own layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from hpctrain.config.document import Key, dotted

_BLOCK = ("train", "adversary")
_PRESETS: dict[str, dict[Key, Any]] = {
    "fast": {
        ("critic_steps",): 1,
        ("gradient_penalty", "kind"): "r1",
        ("gradient_penalty", "weight"): 10.0,
        ("gradient_penalty", "every"): 16,
    }
}
_FIRM = {("critic_steps",), ("gradient_penalty", "kind")}
"""Keys without which it would not be that preset; the others may be tuned beside it."""

Level = Callable[[Key], int]
"""Layer that a key was written in, the higher the later."""


def with_preset(value: dict[str, Any], level: Level) -> dict[str, Any]:
    """A job's merged value with the keys that the preset it names gives.

    Args:
        value: of all layers; it stays as it is.
        level: of its keys.
    """
    given = {key: new for key, new, at in _keys(value) if not _wins(at, value, level)}
    if given:
        value = copy.deepcopy(value)
    for (*blocks, name), new in given.items():
        block: dict[Any, Any] = value
        for part in blocks:
            if not isinstance(block.get(part), dict):
                block[part] = {}
            block = block[part]
        block[name] = new
    return value


def preset_source(value: dict[str, Any], key: Key, level: Level) -> str | None:
    """The preset that gives a key, as `hpctrain show` names it; None where none does."""
    for own, _, at in _keys(value):
        if own == key and not _wins(at, value, level):
            return f"preset {_name(value)}"
    return None


def contradictions(value: dict[str, Any], level: Level) -> Iterator[tuple[Key, str]]:
    """Keys beside or above a preset that would make a mixture of it, each with the fault."""
    for key, new, at in _keys(value):
        if key[len(_BLOCK) :] in _FIRM and _wins(at, value, level):
            found = _at(value, at)
            if found != new:
                own = f"preset: {_name(value)} means {dotted(key[len(_BLOCK) :])} {new}"
                shown = "null" if found is None else repr(found)
                yield at, f"found {shown}, but {own}; leave it out, or give preset: null"


def _keys(value: dict[str, Any]) -> Iterator[tuple[Key, Any, Key]]:
    """Each key of the preset, what it gives, and the key that was written in its place, if any."""
    for own, new in _PRESETS.get(_name(value), {}).items():
        key = (*_BLOCK, *own)
        yield key, new, _written(value, key)


def _written(value: Any, key: Key) -> Key:
    """The key itself, or the block above it that was given as no block; () for neither."""
    for i, part in enumerate(key):
        if not isinstance(value, dict):
            return key[:i]
        if part not in value:
            return ()
        value = value[part]
    return key


def _wins(at: Key, value: dict[str, Any], level: Level) -> bool:
    return bool(at) and level(at) >= level((*_BLOCK, "preset"))


def _name(value: Any) -> str:
    name = _at(value, (*_BLOCK, "preset"))
    return name if isinstance(name, str) else ""


def _at(value: Any, key: Key) -> Any:
    for part in key:
        value = value.get(part) if isinstance(value, dict) else None
    return value
