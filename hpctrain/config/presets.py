"""Names for several keys of a block, which hold where those keys are not given."""

from __future__ import annotations

from typing import Any

from hpctrain.config.document import Key

_BLOCK = ("train", "adversary")
_PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"critic_steps": 1, "gradient_penalty": {"kind": "r1", "weight": 10.0, "every": 16}}
}


def with_preset(value: dict[str, Any]) -> dict[str, Any]:
    """A job's merged value with the keys of the preset that it names below its own."""
    preset = _PRESETS.get(_name(value), {})
    for part in reversed(_BLOCK if preset else ()):
        preset = {part: preset}
    return _under(preset, value)


def preset_source(value: dict[str, Any], key: Key) -> str | None:
    """The preset that gives a key which nobody wrote, as `hpctrain show` names it."""
    found: Any = _PRESETS.get(_name(value)) if key[: len(_BLOCK)] == _BLOCK else None
    for part in key[len(_BLOCK) :]:
        found = found.get(part) if isinstance(found, dict) else None
    return None if found is None else f"preset {_name(value)}"


def _name(value: Any) -> str:
    for part in (*_BLOCK, "preset"):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _under(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = below | above
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            merged[name] = _under(below[name], above[name])
    return merged
