"""Markdown tables of a pydantic schema: one a block, in the order of the file."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

_PLAIN = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
}
_BOUNDS = {"minimum": ">= {}", "exclusiveMinimum": "> {}", "maximum": "<= {}"}


def schema_tables(model: type[BaseModel], title: str) -> list[str]:
    """Lines of all tables.

    Args:
        model: the schema of the whole file.
        title: heading of its own table; blocks are headed by their dotted keys.
    """
    return _Tables(model, title).lines()


class _Tables:
    """A schema that is used at two places is written out at the first."""

    def __init__(self, model: type[BaseModel], title: str) -> None:
        self.title = title
        self.task = ""
        self.blocks = {"": (schema := model.model_json_schema()), **schema.pop("$defs", {})}
        self.places: dict[str, list[str]] = {"": [title]}
        self._visit("", "")

    def _visit(self, block: str, key: str) -> None:
        for name, field in self.blocks[block]["properties"].items():
            found = _blocks_of(field)
            for inner in found:
                place = f"{key}.{name}".lstrip(".")
                which = self._which(inner, len(found))
                if "task: " in which or place == "data":
                    self.task = which
                known = self.places.setdefault(inner, [])
                title = self._unlike_others(place + which, inner)
                if title not in known:  # tasks share most of their blocks
                    known.append(title)
                self._visit(inner, place)

    def _unlike_others(self, title: str, block: str) -> str:
        """The title, with its task or kind of data where that of another block is the same."""
        is_taken = any(places[:1] == [title] for b, places in self.places.items() if b != block)
        return title + self.task if is_taken else title

    def _which(self, block: str, count: int) -> str:
        """What tells a member of a union apart, for its heading."""
        if count == 1:
            return ""
        fields = self.blocks[block]["properties"]
        name = next(n for n in ("task", "kind") if n in fields)
        field = fields[name]
        choices = field.get("enum", [field["const"]] if "const" in field else ["module.Class"])
        return f" ({name}: {' or '.join(choices)})"

    def lines(self) -> list[str]:
        return [line for block in self.places for line in self._table(block)]

    def _table(self, name: str) -> list[str]:
        block, (first, *others) = self.blocks[name], self.places[name]
        also = f" Also at {', '.join(f'`{key}`' for key in others)}." if others else ""
        head = [f"## {first}", "", one_line(block["description"]) + also, ""]
        rows = [
            row(f"`{key}`", self._kind(field), self._default(key, block), self._meaning(field))
            for key, field in block["properties"].items()
        ]
        return [*head, *table("key", "value", "default", "meaning"), *rows, ""]

    def _kind(self, field: dict[str, Any]) -> str:
        if "$ref" in field:
            return f"[block](#{anchor(self.places[_block_of(field)][0])})"
        if "const" in field:
            return f"`{field['const']}`"
        if "enum" in field:
            return ", ".join(f"`{choice}`" for choice in field["enum"])
        union = field.get("oneOf") or field.get("anyOf")
        if union:
            return " or ".join(self._kind(part) for part in union)
        if "prefixItems" in field:
            parts = list(dict.fromkeys(self._kind(part) for part in field["prefixItems"]))
            return f"list of {len(field['prefixItems'])} ({'; '.join(parts)})"
        if field.get("type") == "array":
            return f"list of {self._kind(field['items'])}"
        if field.get("type") == "object":
            inner = field.get("additionalProperties")
            return f"name: {self._kind(inner)}" if isinstance(inner, dict) else "keys with values"
        if "pattern" in field:
            return "text with a dot" if field["pattern"] == "\\." else '`"HH:MM:SS"`'
        return _PLAIN[field["type"]] + _bounds(field)

    def _default(self, key: str, block: dict[str, Any]) -> str:
        """As YAML writes it; of a block only what differs from the block's own defaults."""
        if key in block.get("required", ()):
            return "required"
        field = block["properties"][key]
        default, inner = field["default"], _block_of(field)
        if "$ref" not in field and not (inner and isinstance(default, dict) and default):
            return f"`{default if isinstance(default, str) else json.dumps(default)}`"
        inner = _meant(default, _blocks_of(field), self.blocks)
        own = self.blocks[inner]["properties"]
        differs = {k: v for k, v in default.items() if own[k].get("default") != v}
        return ", ".join(f"`{key}: {json.dumps(value)}`" for key, value in differs.items())

    def _meaning(self, field: dict[str, Any]) -> str:
        if "const" in field:
            return one_line(field.get("description") or "Says which kind of block this is.")
        # pydantic leaves a description out where it equals that of the block
        return one_line(field.get("description") or self.blocks[_block_of(field)]["description"])


def _block_of(field: dict[str, Any]) -> str:
    """Name of the schema that a field, its list or its mapping holds; empty for plain values."""
    return next(iter(_blocks_of(field)), "")


def _blocks_of(field: dict[str, Any]) -> list[str]:
    """Names of all schemas that a field, its list or its mapping may hold."""
    if "$ref" in field:
        return [str(field["$ref"]).rpartition("/")[2]]
    inner = [
        *field.get("anyOf", ()),
        *field.get("oneOf", ()),
        field.get("items"),
        field.get("additionalProperties"),
    ]
    found = [name for part in inner if isinstance(part, dict) for name in _blocks_of(part)]
    return list(dict.fromkeys(found))


def _meant(default: Any, names: list[str], blocks: dict[str, Any]) -> str:
    """The member of a union that a default is of."""
    if len(names) == 1 or not isinstance(default, dict):
        return names[0]

    def fits(name: str) -> bool:
        kind = blocks[name]["properties"]["kind"]
        return default["kind"] in kind.get("enum", [kind.get("const")])

    return next(name for name in names if fits(name))


def _bounds(field: dict[str, Any]) -> str:
    found = [form.format(f"{field[key]:g}") for key, form in _BOUNDS.items() if key in field]
    return f" {', '.join(found)}" if found else ""


def table(*titles: str) -> list[str]:
    """The two lines above the rows of a table."""
    return [row(*titles), "|" + "---|" * len(titles)]


def row(*cells: str) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def anchor(title: str) -> str:
    """How a heading is linked to, by GitHub's rule."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def one_line(text: str | None) -> str:
    """Text without line breaks."""
    return " ".join((text or "").split())
