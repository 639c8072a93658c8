"""YAML text to plain values, with the line of each key.

Nothing else in the package reads a user's YAML. Dates stay texts, `1e-4` is a number (PyYAML
follows YAML 1.1, where it is a text), duplicate keys and tabs are errors.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hpctrain.errors import ConfigError

Key = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 without dates and with floats that need no dot."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


@dataclass
class Document:
    """Plain values and where each was written.

    `lines` and `texts` hold the line of each key and a single value's text as written; `problems`
    the line and the fault of each key that YAML allows and we do not.
    """

    where: str
    value: Any = None
    lines: dict[Key, int] = field(default_factory=dict)
    texts: dict[Key, str] = field(default_factory=dict)
    problems: dict[Key, tuple[int, str]] = field(default_factory=dict)

    def line(self, key: Key) -> int:
        """Line of a key, or of the nearest block that holds it; 0 where there are no lines."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 0)


def dotted(key: Key) -> str:
    """A key as it is written in messages and in `--set`: `train.schedule.kind`."""
    return ".".join(str(part) for part in key)


def read_document(path: Path, where: str | None = None) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: the file cannot be read, or is not one YAML mapping.
    """
    name = where or str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as e:
        raise ConfigError(f"{name}: no such file") from e
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{name}: cannot be read as text: {e}") from e
    document = parse(text, name)
    if document.value is None and not document.problems:
        raise ConfigError(
            f"{name}: is empty; `hpctrain init mantle` writes an example to start from"
        )
    if not isinstance(document.value, dict):
        raise ConfigError(f"{name}:1: found {document.value!r}; allowed: keys with values")
    return document


def parse(text: str, where: str) -> Document:
    """Parse YAML text; faults of single values go into `problems`.

    Raises:
        ConfigError: the text is not YAML at all.
    """
    document = Document(where)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            document.value = _Builder(loader, document).build(node, (), ())
    except yaml.YAMLError as e:
        raise ConfigError(_syntax_text(e, text, where)) from e
    finally:
        loader.dispose()
    return document


class _Builder:
    """Walks the node tree once; a value's place is the line of its key."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self.loader, self.document = loader, document

    def build(self, node: yaml.Node, key: Key, above: tuple[int, ...]) -> Any:
        if id(node) in above:
            self._fault(node, key, "refers to itself")
            return None
        self.document.lines.setdefault(key, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key, (*above, id(node)))
        if isinstance(node, yaml.SequenceNode):
            inside = (*above, id(node))
            return [self.build(child, (*key, i), inside) for i, child in enumerate(node.value)]
        return self._scalar(node, key)

    def _mapping(self, node: yaml.MappingNode, key: Key, above: tuple[int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name_node, value_node in node.value:
            # A key is a text whatever YAML makes of it: `on:` is "on", not True.
            name = str(name_node.value)
            if name in result:
                first = self.document.lines[(*key, name)]
                self._fault(
                    name_node, (*key, name), f"is given twice, first in line {first}; keep one"
                )
                continue
            self.document.lines[(*key, name)] = name_node.start_mark.line + 1
            result[name] = self.build(value_node, (*key, name), above)
        return result

    def _scalar(self, node: yaml.Node, key: Key) -> Any:
        self.document.texts[key] = str(node.value)
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._fault(node, key, f"found {node.value!r}, which is not a plain YAML value")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._fault(node, key, f"found {node.value!r}; allowed: finite numbers")
            return None
        if not isinstance(value, str | int | float | bool | None):
            self._fault(
                node, key, f"found {node.value!r} of an unusual type; allowed: plain values"
            )
            return None
        return value

    def _fault(self, node: yaml.Node, key: Key, text: str) -> None:
        self.document.problems[key] = (node.start_mark.line + 1, text)


def _syntax_text(error: yaml.YAMLError, text: str, where: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{where}: is not YAML: {' '.join(str(error).split())}"
    lines = text.splitlines()
    found = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in found[: len(found) - len(found.lstrip())] or "\\t" in str(error):
        return f"{where}:{mark.line + 1}: found a tab; indent with spaces"
    problem = getattr(error, "problem", None) or "syntax error"
    return f"{where}:{mark.line + 1}: is not YAML: {problem}, at {found.strip()!r}"
