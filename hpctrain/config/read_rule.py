"""Rule files to schemas, by path or by the name of a shipped one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpctrain.config.document import Document, read_document
from hpctrain.config.index_rule import Rule
from hpctrain.config.layers import Layers
from hpctrain.config.paths import find_shared, shared_dirs
from hpctrain.config.words import nearest
from hpctrain.errors import ConfigError


def rule_names() -> list[str]:
    """All rules that can be named."""
    found = (p.stem for d in shared_dirs("templates") for p in (d / "rules").glob("*.yaml"))
    return sorted(set(found))


def read_rule(
    name: str | None, options: Mapping[str, Any], base: Mapping[str, Any] | None = None
) -> Rule:
    """A rule, with values of the command line on top.

    Args:
        name: a YAML file, or a shipped rule; None: the options alone.
        options: values by key; `where` of a message is the command line.
        base: values of an earlier build, below everything else.

    Raises:
        ConfigError: unknown, or wrong.
    """
    layers = Layers()
    if base is not None:
        layers.add(Document("the index's own rule", dict(base)))
    if name is not None:
        layers.add(_document(name))
    if options:
        layers.add(Document("command line", dict(options)))
    return layers.validate(Rule)


def _document(name: str) -> Document:
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return read_document(Path(name))
    path = find_shared("templates", f"rules/{name}.yaml")
    if path is None:
        raise ConfigError(
            f"--rule: unknown rule {name!r}; choose from {', '.join(rule_names())}, or give a "
            f"YAML file{nearest(name, rule_names())}"
        )
    return read_document(path)
